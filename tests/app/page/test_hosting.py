from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.page import zerogpu
from app.page.hosting import (
    LentEncoder,
    LentSession,
    is_hosted,
    named_encoders,
    open_session,
    proxies,
)
from core.config import ServerConfig
from core.encoders.load import fetch_weights
from core.service import Choice, Session
from core.values import GalleryError, SettingError
from tests import checkpoints


class Counter:
    """A lender that hands arguments and results over pickled, as another process would."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def lent(*args: Any) -> Any:
            self.calls.append(function.__name__)
            return pickle.loads(pickle.dumps(function(*pickle.loads(pickle.dumps(args)))))

        return lent


@pytest.fixture(scope="module")
def lend() -> Counter:
    return Counter()


@pytest.fixture(scope="module")
def lent(lend: Counter) -> LentSession:
    return LentSession(server=ServerConfig(hosted=True), lend=lend, device="cpu")


@pytest.mark.parametrize(
    ("environment", "number"),
    [({}, 0), ({"SPACE_ID": "me/it"}, 1), ({"SPACE_ID": "x", "WELLSPRING_PROXIES": "2"}, 2)],
)
def test_proxies_by_the_environment(environment: dict[str, str], number: int):
    assert proxies(environment) == number


@pytest.mark.parametrize("wrong", ["-1", "x", "1e3", "\N{SUPERSCRIPT TWO}", "100"])
def test_a_number_of_proxies_that_is_none_is_refused(wrong: str):
    with pytest.raises(SettingError, match="WELLSPRING_PROXIES must be"):
        proxies({"WELLSPRING_PROXIES": wrong})


@pytest.mark.parametrize(
    ("environment", "hosted"),
    [({}, False), ({"SPACE_ID": "me/it"}, True), ({"WELLSPRING_HOSTED": "1"}, True)],
)
def test_hosted_by_the_environment(environment: dict[str, str], hosted: bool):
    assert is_hosted(environment) == hosted


def test_space_opens_no_folder(monkeypatch: pytest.MonkeyPatch, gallery_folder: Path):
    monkeypatch.setenv("SPACE_ID", "me/wellspring")
    session = open_session()
    assert session.server.hosted
    with pytest.raises(GalleryError, match="not here"):
        session.gallery(str(gallery_folder), visitor="somebody0")


@pytest.mark.parametrize(("zero", "lends"), [("true", True), ("", False)])
def test_the_gpu_is_of_the_spaces_library(monkeypatch: pytest.MonkeyPatch, zero: str, lends: bool):
    asked: list[int] = []
    module = ModuleType("spaces")
    module.GPU = lambda duration: asked.append(duration) or (lambda function: function)
    monkeypatch.setitem(sys.modules, "spaces", module)
    monkeypatch.setattr(zerogpu, "find_spec", lambda name: name == "spaces")
    monkeypatch.setenv("SPACES_ZERO_GPU", zero)
    assert (zerogpu.gpu_of_space() is not None) == lends
    assert asked == ([10] if lends else [])


def test_space_library_is_imported_before_torch(tmp_path: Path):
    """Torch must not have seen a GPU before the library takes its place."""
    (tmp_path / "spaces.py").write_text(
        "import sys\nEARLY = 'torch' not in sys.modules and 'gradio' not in sys.modules\n"
        "def GPU(duration): return lambda function: function\n"
    )
    code = (
        "import app.serve, app.page.zerogpu as z, spaces; print(spaces.EARLY, z.LEND is not None)"
    )
    told = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": str(tmp_path), "SPACES_ZERO_GPU": "true"},
        cwd=Path(zerogpu.__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout.split() == ["True", "True"]


def test_only_encoding_is_lent_and_answers_stay_the_same(lent: LentSession, lend: Counter):
    image = Session().source_image(lent.gallery(), lent.gallery().records[0].id)
    lend.calls.clear()
    answer = lent.attribute(image, Choice("moco"))
    assert lend.calls == ["_read"]
    assert answer == Session().attribute(image, Choice("moco"))


def test_networks_are_loaded_at_start_and_come_back_as_arrays(lent: LentSession):
    encoder = lent.encoder("dino")
    assert isinstance(encoder, LentEncoder)
    image = Image.new("RGB", (64, 64), "teal")
    found, plain = encoder.encode([image]), Session().encoder("dino").encode([image])
    np.testing.assert_array_equal(found.features, plain.features)
    weights = np.ones(encoder.dim, np.float32)
    assert encoder.read(image).region_parts(weights).sum() == pytest.approx(
        float(found.features[0] @ weights), rel=1e-4
    )


def test_a_network_fetched_after_start_up_is_lent_and_falls_back_to_the_cpu(
    lend: Counter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    files = {checkpoints.DINO: checkpoints.dino(), checkpoints.MOCO: b""}
    image, name = Image.new("RGB", (64, 64), "teal"), checkpoints.DINO
    with checkpoints.published(monkeypatch, tmp_path, files):
        session = LentSession(server=ServerConfig(encoders=(name,)), lend=lend, device="cpu")
        fetch_weights(name)
        encoder = session.encoder(name)
        plain = Session().encoder(name).encode([image]).features
    lend.calls.clear()
    np.testing.assert_array_equal(encoder.encode([image]).features, plain)
    assert lend.calls == ["_encode"]
    for refused in ("_encode", "_read"):  # asking about one image had no other place to run
        monkeypatch.setattr(encoder, refused, lambda *_: 1 / 0)
    np.testing.assert_array_equal(encoder.encode([image]).features, plain)
    assert isinstance(encoder, LentEncoder)
    np.testing.assert_array_equal(encoder.read(image).features, plain[0])


@pytest.mark.parametrize(
    ("value", "names"),
    [("", ()), ("a", ("a",)), (" a, b,,a ", ("a", "b"))],
)
def test_encoders_are_named_with_commas(value: str, names: tuple[str, ...]):
    assert named_encoders({"WELLSPRING_ENCODERS": value}) == names
    assert named_encoders({}) == ()


def test_baselines_are_not_lent(lent: LentSession):
    assert not isinstance(lent.encoder("histogram"), LentEncoder)
