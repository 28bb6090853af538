"""What is measured of a gallery: kept with it, and the same numbers on every surface."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import HeadConfig, MeasureConfig
from core.encoders.baselines import BASELINES
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.source import Source
from core.measures.evaluate import Bench
from core.search.prepare import fitted_head
from core.service.choice import Choice
from core.service.disentanglement import dimensions, factor_likenesses, sample
from core.service.session import Session
from core.service.workspace import Workspace
from core.values import Encoder, GalleryError

HISTOGRAM = BASELINES["histogram"]()
COUNT, MADE = 60, 16


@pytest.fixture
def gallery(tmp_path: Path, encoder: Encoder) -> Gallery:
    """Thirty flat pictures, whose colour is the only thing that differs."""
    rows = ["file_name,colour"]
    folder = tmp_path / "world"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for i in range(30):
        colour = ("red", "green", "blue")[i % 3]
        pixels = np.asarray(Image.new("RGB", (16, 16), colour), np.int64)
        noisy = np.clip(pixels + rng.integers(-20, 20, pixels.shape), 0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{i:02d}.png")
        rows.append(f"{i:02d}.png,{colour}")
    (folder / "metadata.csv").write_text("\n".join(rows))
    update(tmp_path / "g", Source(folder), [encoder])
    return Gallery.open(tmp_path / "g")


@pytest.mark.slow
def test_a_gallery_keeps_what_was_found(gallery, encoder, monkeypatch):
    head = fitted_head(gallery, encoder, config=HeadConfig(k=4))
    workspace = Workspace(gallery, encoder, head)
    seen: list[tuple[int, str]] = []
    found = dimensions(
        workspace,
        config=MeasureConfig(refits=3),
        progress=lambda done, _total, what: seen.append((done, what)),
    )
    assert [done for done, what in seen if "on resamples" in what] == [1, 2, 3]
    assert found.factors == ("colour",)
    assert found.shares.shape == (4, 1)
    named = found.followed(0)
    assert named is not None
    assert (named[0], named[1] > 0.8) == ("colour", True)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("computed again")

    monkeypatch.setattr("core.measures.dimensions.fit_head", never)
    again = dimensions(workspace, config=MeasureConfig(refits=3))
    np.testing.assert_array_equal(again.similarity, found.similarity)
    np.testing.assert_array_equal(again.shares, found.shares)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery of two factors with its examples, and the same examples as a pairs file."""
    folder = tmp_path_factory.mktemp("world")
    images, queries = folder / "images", folder / "gallery" / "queries"
    images.mkdir()
    rng = np.random.default_rng(0)
    rows = ["file_name,colour,size"]
    for i in range(COUNT):
        cells = rng.integers(0, 200, (5 + i % 2, 6, 3))
        cells[..., i % 3] += 50
        picture = Image.fromarray(cells.astype(np.uint8)).resize((48, 40), Image.Resampling.NEAREST)
        picture.save(images / f"{i:02d}.png")
        rows.append(f"{i:02d}.png,{i % 3},{i % 2}")
    (images / "metadata.csv").write_text("\n".join(rows))
    update(folder / "gallery", Source(images), [HISTOGRAM])
    queries.mkdir()
    listed, pairs = [], []
    for i in range(MADE):
        sources = [f"{i // 2:02d}.png"] + ([f"{i // 2 + 20}.png"] if i < 4 else [])
        noise = rng.normal(0, 9, (40, 48, 3))
        source = np.asarray(Image.open(images / sources[0]), float)
        made = Image.fromarray((source + noise).clip(0, 255).astype(np.uint8))
        made.save(queries / f"q{i}.png")
        listed.append({"file": f"q{i}.png", "sources": sources, "kind": "noise"})
        exemplars = [f"images/{name}" for name in sources]
        generated = f"gallery/queries/q{i}.png"
        pairs.append(
            {"source": "s", "generator": "g", "exemplars": exemplars, "generated": generated}
        )
    (queries / "queries.json").write_text(json.dumps({"queries": listed}))
    (folder / "pairs.json").write_text(json.dumps(pairs))
    return folder


@pytest.fixture(scope="module")
def bench(world: Path) -> Bench:
    pairs, cache = world / "pairs.json", world / "cache"
    return Bench(pairs, world / "gallery", [HISTOGRAM], cache=cache)


@pytest.mark.slow
@pytest.mark.parametrize("head", ["center", "whiten"])
def test_the_evaluation_and_the_tab_give_equal_numbers(world: Path, bench: Bench, head: str):
    """They took different rows (the first ones; random ones), different columns under a head that
    does not order them, and pairs that counted an exemplar once or once for each image.
    """
    session = Session()
    choice = Choice("histogram", head, str(world / "gallery"))
    shown = session.disentanglement(choice).after.values()
    fitted = session.workspace(choice).head
    reports = bench.measures(HISTOGRAM, fitted, pairs=bench.all_pairs)
    told = {name: value for report in reports for name, value in vars(report).items()}
    assert {"rankme", "mig", "disentanglement", "mean_diagonal", "domain_auc"} <= shown.keys()
    exact = {"constant_dimensions", "mean_abs_correlation", "total_correlation", "rankme"}
    exact |= {"participation_ratio", "disentanglement", "completeness", "informativeness"}
    exact |= {"mig", "sap", "factor_vae"}
    for name, value in shown.items():
        # An example's features are computed anew; the pairs' are stored in half precision.
        tolerance = 1e-12 if name in exact else 0.02
        assert told[name] == pytest.approx(value, rel=tolerance, abs=tolerance), name


@pytest.mark.slow
def test_a_sample_is_the_same_on_every_surface(world: Path, bench: Bench):
    config = MeasureConfig(images=25, refits=1)
    gallery = Gallery.open(world / "gallery")
    head = fitted_head(gallery, HISTOGRAM, config=HeadConfig(k=8))
    workspace = Workspace(gallery, HISTOGRAM, head)
    tab = sample(workspace, [], [], config=config)
    rows, factors = bench.measured_rows(HISTOGRAM, head, pairs=bench.all_pairs, config=config)
    assert len(rows.real) == 25
    np.testing.assert_array_equal(tab.after.real, rows.real)
    assert tab.factors == factors
    assert {name: len(values) for name, values in factors.items()} == {"colour": 25, "size": 25}


@pytest.mark.slow
def test_the_dimension_notes_and_the_dimension_view_give_equal_shares(world: Path):
    """One was epsilon squared, the other omega squared."""
    session = Session()
    choice = Choice("histogram", "whiten", str(world / "gallery"))
    notes = session.dimensions(choice)
    assert notes is not None
    for dimension in (0, 3):
        explained = session.dimension(choice, dimension).explained
        shares = dict(zip(notes.factors, notes.shares[dimension].tolist(), strict=True))
        assert dict(explained) == pytest.approx(shares, abs=1e-12)


@pytest.mark.slow
def test_an_image_looks_like_its_own_colour(gallery, encoder):
    head = fitted_head(gallery, encoder, config=HeadConfig(k=4))
    workspace = Workspace(gallery, encoder, head)
    red = next(record for record in gallery.records if record.extra["colour"] == "red")
    blue = next(record for record in gallery.records if record.extra["colour"] == "blue")
    query = workspace.query(Image.new("RGB", (16, 16), "red"))
    found = {each.id: factor_likenesses(workspace, query, each.id) for each in (red, blue)}
    assert found[red.id][0].auc > 0.9
    assert found[blue.id][0].auc < 0.5
    with pytest.raises(GalleryError, match="no image of the gallery has the id 99"):
        factor_likenesses(workspace, query, 99)
