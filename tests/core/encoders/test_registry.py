"""The registry: names, licences, sources, and what is here."""

from __future__ import annotations

from pathlib import Path

import pytest

from core.encoders import registry
from core.encoders.backbones import BackboneConfig, build, save_backbone
from core.encoders.backbones.hub import HubFile
from core.encoders.baselines import BASELINES
from core.encoders.registry import encoder_infos, is_here, specs, weights_file


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder in the place of the bundled networks."""
    monkeypatch.setattr(registry, "BUNDLED", tmp_path / "assets")
    return tmp_path / "assets"


def test_every_network_has_a_name_a_licence_and_a_source() -> None:
    found = specs()
    assert [spec.name for spec in found] == [
        "lite0",
        "moco",
        "dino",
        "random",
        "dino-vits16",
        "dino-vitb16",
        "dinov2-vits14",
        "clip-vitb32",
        "mocov3-vits",
        "mocov3-vitb",
        "mocov2-r50",
        "sscd-r50",
    ]
    for spec in found:
        assert registry.spec(spec.name) is spec
        assert spec.licence
        assert spec.needs_network == (spec.kind != "bundled")
        assert spec.needs_network == (spec.url or "").startswith("https://")
        assert (spec.licence == "CC BY-NC 4.0") == (spec.name.startswith("mocov"))


def test_hub_files_are_pinned_to_a_commit() -> None:
    sources = [spec.source for spec in specs() if isinstance(spec.source, HubFile)]
    assert len(sources) == 4
    for source in sources:
        assert len(bytes.fromhex(source.revision)) == 20
        assert source.url.endswith(f"/{source.repo}/resolve/{source.revision}/{source.name}")


def test_all_encoders_are_listed_once_those_without_network_first() -> None:
    infos = encoder_infos()
    names = [info.name for info in infos]
    assert len(set(names)) == len(names)
    assert {"lite0", "moco", "dino", "thumbnail", "histogram", "phash", "edges", "palette"} <= set(
        names
    )
    network = [info.needs_network for info in infos]
    assert network == sorted(network)
    assert all(info.licence and info.title for info in infos)


def test_what_was_fetched_is_here(bundled: Path, tmp_path: Path, monkeypatch) -> None:
    """The list called weights "fetched at first use" that had been fetched."""
    monkeypatch.setenv("WELLSPRING_CACHE", str(tmp_path / "wellspring"))
    monkeypatch.setattr(HubFile, "cached", lambda _: None)
    save_backbone(build(BackboneConfig(), seed=7), bundled / "dino")
    fetched = registry.spec("sscd-r50")
    assert weights_file(fetched) is None
    before = {info.name for info in encoder_infos() if info.here}
    assert before == {"dino", "random", *BASELINES}
    file = tmp_path / "wellspring" / "sscd-r50" / "sscd_disc_mixup.torchvision.pt"
    file.parent.mkdir(parents=True)
    file.touch()
    assert weights_file(fetched) == file
    assert is_here(fetched)
    assert {info.name for info in encoder_infos() if info.here} - before == {"sscd-r50"}
