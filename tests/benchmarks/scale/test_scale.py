"""Made galleries are like the real one that they are made of; the table says what was stored."""

from __future__ import annotations

import itertools
import json

import numpy as np
import pytest
from PIL import Image

from benchmarks.scale import stages
from benchmarks.scale import table as module
from benchmarks.scale.stages import Clock
from benchmarks.scale.world import COPIES, World, resampled
from core.config import HeadConfig
from core.encoders.load import load_encoder
from core.heads.fit import fit_head
from core.search.crops import each_pair_once


@pytest.fixture(scope="module")
def source() -> World:
    """300 images of random features that vary by column."""
    rng = np.random.default_rng(0)
    encoder = load_encoder("random")
    spread = rng.uniform(0.5, 2, encoder.dim)
    features = (rng.standard_normal((300, encoder.dim)) * spread + 3).astype(np.float16)
    centred = HeadConfig(kind="center")
    beside = {
        name: rng.standard_normal((300, dim)).astype(np.float16)
        for name, dim in (("edges", 150), ("palette", 125))
    }
    return World(
        encoder,
        fit_head(features, config=centred),
        features,
        {name: (fit_head(rows, config=centred), rows) for name, rows in beside.items()},
        rng.integers(-127, 128, (300, 4, 3), dtype=np.int8),
        [f"{int(value):016x}" for value in rng.integers(2**63, size=300)],
        lambda row: Image.new("L", (4, 4), row % 256),
    )


def test_made_images_have_the_spread_of_real_ones(source, tmp_path) -> None:
    world = resampled(source, 1_000, folder=tmp_path, seed=1)
    assert len(world) == len(world.hashes) == len(world.patches) == 1_000
    real, made = (np.asarray(each.features, np.float64) for each in (source, world))
    np.testing.assert_allclose(made.mean(axis=0), real.mean(axis=0), atol=0.5)
    assert np.median(made.std(axis=0) / real.std(axis=0)) == pytest.approx(1, abs=0.1)
    assert world.load(3).size == (4, 4)


def test_a_share_of_made_images_are_near_copies(source, tmp_path) -> None:
    world = resampled(source, 1_000, folder=tmp_path, seed=1)
    repeated = 1_000 - len(set(world.hashes))
    assert COPIES * 1_000 <= repeated < 2 * COPIES * 1_000  # some are drawn alike
    rows = world.head(world.features, role="gallery")
    cosines = rows @ rows.T - 2 * np.eye(1_000)
    assert (cosines.max(axis=1) > 0.98).sum() >= repeated


def test_a_seed_gives_one_gallery(source, tmp_path) -> None:
    made = []
    for name, seed in (("a", 4), ("b", 4), ("c", 5)):
        (tmp_path / name).mkdir()
        made.append(np.array(resampled(source, 50, folder=tmp_path / name, seed=seed).features))
    np.testing.assert_array_equal(made[0], made[1])
    assert (made[0] != made[2]).any()


def test_a_stage_that_stands_for_more_is_multiplied(monkeypatch: pytest.MonkeyPatch) -> None:
    seconds = itertools.count()
    monkeypatch.setattr("time.process_time", lambda: float(next(seconds)))
    clock = Clock()
    for name, times in (("one", 1), ("many", 1_000), ("parts", 1_000), ("parts", 1_000)):
        with clock.stage(name, times=times):
            pass
    one, many, parts = clock.found()
    assert [each["seconds"] for each in (one, many, parts)] == pytest.approx([1, 1_000, 2_000])
    assert one["memory"] > 0


def test_stages_that_were_not_measured_again_stay() -> None:
    one, two, three = ({"name": name, "seconds": 1.0} for name in "abc")
    new = {**two, "seconds": 2.0}
    assert module.merged(None, {"stages": [one]}) == {"stages": [one]}
    before = {"stages": [one, two], "recall": [0.5], "groups": 3}
    found = module.merged(before, {"stages": [new, three], "recall": [0.75]})
    assert found == {"stages": [one, new, three], "recall": [0.75], "groups": 3}


class _Factors(Clock):
    """Keeps what parts of a stage stand for."""

    def __init__(self) -> None:
        super().__init__()
        self.factors: list[float] = []

    def stage(self, name, *, times=1.0):
        self.factors.append(times)
        return super().stage(name, times=times)


def test_crops_open_an_image_once_and_look_at_a_pair_once(source, monkeypatch) -> None:
    """Images near a thousand rows were opened for these alone: at a million half of the time."""
    near = np.random.default_rng(0).integers(0, 300, (300, 3))
    opened, whole, part = list[int](), _Factors(), _Factors()

    def load(row: int) -> Image.Image:
        opened.append(row)
        return source.load(row)

    for clock, most in ((whole, 10_000), (part, 100)):
        monkeypatch.setattr(stages, "CROP_PAIRS", most)
        stages.look_for_crops(near, source.patches, load=load, clock=clock, stage="crops")
    pairs = each_pair_once(near)
    everything = len(np.unique(pairs))
    assert whole.factors == [1, 1, 1]
    assert sorted(opened[:everything]) == np.unique(pairs).tolist()
    assert part.factors[1] == everything / len(opened[everything:])
    assert part.factors[2] == len(pairs) / 100


def test_the_table_gives_exponents_and_a_million(tmp_path, monkeypatch) -> None:
    def stored(seconds: float) -> dict[str, object]:
        stage = {"name": "neighbours", "seconds": seconds, "memory": 0.5}
        answer = {"name": "answer", "seconds": 99.0, "memory": 0.5}
        return {"stages": [stage, answer], "recall": [0.987, 0.991]}

    found = {"sizes": {"20000": stored(80.0), "10000": stored(20.0)}, "command": "make scale"}
    path, page = tmp_path / "scale.json", tmp_path / "scale.md"
    changed = {"command": "python -m it", "sizes": {"20000": stored(7.0), "500": stored(0.25)}}
    path.write_text(json.dumps({"now": found, "changed": changed}))
    page.write_text("before\n<!-- table: make scale -->\nold\n<!-- end of table -->\nafter\n")
    monkeypatch.setattr(module, "RESULTS", path)
    monkeypatch.setattr(module, "PAGE", page)
    module.write_page()
    text = page.read_text()
    assert "| neighbours | 20 | 80 | 2.00 | 200,000 |" in text
    assert "| **all but the answer** | 20 | 80 | 2.00 | 200,000 |" in text
    assert "| 20,000 | 0.987 | 0.991 |" in text
    assert "(`python -m it`)\n\n| stage | 500 | 20,000 |" in text
    assert "| neighbours | 0.250 | 7.0 |" in text
    assert text.startswith("before\n")
    assert text.endswith("after\n")
    assert "old" not in text
    module.write_page()
    assert page.read_text() == text


def test_the_table_tells_what_a_change_cost_before(tmp_path, monkeypatch) -> None:
    now = {"remove 10": {"seconds": 0.5, "bytes": 2_000_000}, "open": {"seconds": 0.25, "bytes": 0}}
    before = {"steps": {"remove 10": {"seconds": 2.0, "bytes": 90_000_000}}}
    changes = {"add": 2, "add, killed": 1}
    life = {"command": "live", "changes": changes, "images": 1_234, "parts": 3}
    stage = {"name": "neighbours", "seconds": 1.0, "memory": 0.5}
    sizes = {"5": {"stages": [stage], "recall": [1.0, 1.0]}}
    found = {
        "now": {"sizes": sizes, "command": "make scale"},
        "store": {"now": {"20000": {"steps": now}}, "before": {"20000": before}},
        "life": life,
    }
    path = tmp_path / "scale.json"
    path.write_text(json.dumps(found))
    monkeypatch.setattr(module, "RESULTS", path)
    text = module.table()
    assert "| remove 10 | 0.500 s (4x), 2.0 MB (45x) |" in text
    assert "| open | 0.250 s |" in text
    assert "(`live`): whole after each of 2 x add; 1 x add, killed; 1,234 images" in text
