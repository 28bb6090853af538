"""The quick campaign finds nothing; faults come when they are told to, and breaking is seen."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.campaign import changes, children, load, long
from benchmarks.campaign.__main__ import PARTS, judged
from benchmarks.campaign.calls import Reply, Target
from benchmarks.campaign.clients import Seen
from benchmarks.campaign.table import Row

ROOT = Path(__file__).parents[3]
CONTROL = """
import os, sys
from pathlib import Path
from benchmarks.campaign.children import ended, outcome
from benchmarks.campaign.faults import Fault, install
from core.images.files import write_bytes
folder = Path(sys.argv[1])
def write(fault):
    install(fault, folder)
    return outcome(lambda: write_bytes(folder / "a", bytes(1000)))
faults = (
    Fault("none"), Fault("kill", 2), Fault("torn", size=300), Fault("full", 1),
    Fault("filled", size=300),
)
for fault in faults:
    found = ended(lambda: write(fault))
    sizes = sorted((path.name[:2], path.stat().st_size) for path in folder.iterdir())
    print(found.signal, found.value and found.value[0], sizes)
    for path in folder.iterdir():
        path.unlink()
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_faults_come_when_they_are_told_to(tmp_path: Path) -> None:
    """Negative control: whole; killed before it is synced; torn in mid-write; refused, and tidy."""
    found = run("-c", CONTROL, str(tmp_path))
    assert found.stdout.splitlines() == [
        "0 done [('a', 1000)]",
        f"{int(signal.SIGKILL)} None [('.a', 1000)]",
        f"{int(signal.SIGXFSZ)} None [('.a', 300)]",
        "0 broken []",
        "0 broken []",
    ], found.stderr


LIBRARIES = """
import io, json, sys
from pathlib import Path
import numpy as np
from PIL import Image
from safetensors.numpy import load, save
from benchmarks.campaign.children import ended, outcome
from benchmarks.campaign.faults import Fault, install
folder = Path(sys.argv[1])
values, picture = np.arange(9_000.0), Image.effect_noise((300, 300), 50)
def pillow(path):
    with Image.open(path) as image:
        image.load()
writes = {
    "numpy": lambda path: np.save(path, values), "numpy zip": lambda path: np.savez(path, a=values),
    "pillow": lambda path: picture.save(path, "PNG"),
    "json": lambda path: path.write_text("1" * 900),
    "safetensors": lambda path: path.write_bytes(save({"a": values})),
}
reads = {
    "numpy": np.load, "numpy map": lambda path: np.load(path, mmap_mode="r"), "pillow": pillow,
    "numpy zip": lambda path: dict(np.load(path)), "json": lambda path: path.read_text(),
    "safetensors": lambda path: load(path.read_bytes()),
}
files = {"numpy": "a.npy", "numpy map": "a.npy", "numpy zip": "a.npz"}
names = {name: folder / files.get(name, name) for name in reads}
def met(fault, work, path):
    def tried():
        points = install(fault, folder)
        return (*outcome(lambda: work(path))[:1], points.came)
    return ended(tried).value
for works, fault in ((writes, Fault("filled", size=400)), (reads, Fault("unread"))):
    for name, work in works.items():
        print(name, *met(fault, work, names[name]), *met(Fault("none"), work, names[name]))
"""


def test_writes_and_readings_fail_where_libraries_write_and_read(tmp_path: Path) -> None:
    """A full disk refused openings alone: no library had ever met it in mid-write."""
    found = run("-c", LIBRARIES, str(tmp_path))
    told = [line.split() for line in found.stdout.splitlines()]
    assert len(told) == 11, found.stderr
    for line in told:
        assert line[-4:] == ["broken", "True", "done", "False"], line


def test_folders_of_a_killed_campaign_are_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Campaigns that were killed left gigabytes in memory; one that runs keeps its own."""
    monkeypatch.setattr(children, "MEMORY", tmp_path)
    left = tmp_path / "wellspring-campaign-kills-left"
    left.mkdir()
    (left / ".campaign").touch()
    other = tmp_path / "wellspring-of-somebody-else"
    other.mkdir()
    with children.scratch("one") as one, children.scratch("two") as two:
        assert one.is_dir() and two.is_dir() and other.is_dir()
        assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == [other.name]


def test_a_row_without_a_result_is_a_failure() -> None:
    """Where all were told to wait, the bar on how long an answer takes was passed over."""
    seen, alone = Seen(refused=48), Seen(seconds=[0.2])
    assert load.row_of("at 0.5: answer", 48, seen, alone, 3.0).faults
    seen.seconds = [0.3]
    assert not load.row_of("at 0.5: answer", 48, seen, alone, 3.0).faults
    seen.seconds = [0.7]
    assert load.row_of("at 0.5: answer", 48, seen, alone, 3.0).faults


def test_a_long_life_is_bounded_in_all_and_its_caches_evict() -> None:
    """Memory was judged by its growth alone, and galleries that were not made gave no row."""
    start = {"workspaces": 0.0, "memory": 0.5, "threads": 1.0, "open files": 9.0}
    held = {**start, "workspaces": 6.0, "memory": long.MOST - 0.01}

    def faults(**other: float) -> tuple[str, ...]:
        most = held | other
        times = {"start": start, "before": most, "most": most, "left": start}
        return long.row_of("x", 9, [], times).faults

    assert not faults()
    assert faults(memory=long.MOST + 0.01) and faults(workspaces=7.0)
    (row,) = long.run(seed=0, quick=True, budget=children.Budget(-1))
    assert row.faults


def test_memory_that_grows_beyond_noise_and_its_bar_is_a_failure() -> None:
    """A fixed bar alone judged it, in which noise counts as growth."""
    noise = np.random.default_rng(0).normal(0, 1, 400)
    times = np.arange(400.0)

    def judged_at(slope: float, spread: float) -> bool:
        held = np.stack([times, slope * times + spread * noise], axis=1).tolist()
        return bool(load.memory_row("x", held, 100).faults)

    assert not judged_at(0, 1)
    assert not judged_at(0.4, 1)  # 80 MB in the second half: below the bar
    assert judged_at(0.6, 1)
    assert not judged_at(0.6, 2_000)  # no growth beyond noise
    grown, error = load.growth(np.stack([times, 2 * times + noise], axis=1).tolist())
    assert abs(grown - 2 * 399) < error < 2


def test_an_answer_that_calls_itself_a_fault_is_one() -> None:
    """It was counted as a refusal, and a route that never answered as right."""
    none: Any = None  # it is judged by what it must not show alone
    target = Target(none, none, "", "/outside", (), none, none)
    words = 'event: error\ndata: {"error": "This is a fault of the program; the log says more."}'
    for reply in (Reply(400, words, 0.1), Reply(0, "no answer in time", 8.0), Reply(500, "", 0.1)):
        assert list(target.faults(reply)), reply
    assert not list(target.faults(Reply(400, "top: a finite number is needed", 0.1)))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_quick_campaign_finds_nothing() -> None:
    """All parts, of a tenth of its attempts; with time to spare for what else the machine does."""
    found = run("-m", "benchmarks.campaign", "--quick", "--minutes", "8", "--tries", "0.1")
    assert found.returncode == 0, found.stdout + found.stderr
    assert all(re.search(rf"{part}: \d+ s of", found.stdout) for part in PARTS), found.stdout


def test_a_share_of_the_attempts_leaves_some_of_each() -> None:
    few, all_ = children.Budget(9, tries=0.1), children.Budget(9)
    assert [few.count(usual) for usual in (340, 14, 1)] == [34, 3, 1]
    assert few.share(2).count(340) == 34 and all_.count(340) == 340
    assert tuple(changes.some_of(changes.OPERATIONS, quick=False, budget=all_)) == (
        changes.OPERATIONS
    )
    names = [one.name for one in changes.some_of(changes.OPERATIONS, quick=True, budget=few)]
    assert (names[0], names[-1], len(names)) == ("index a folder", "opt out", 4)


def test_a_part_that_tried_nothing_is_a_failure() -> None:
    """A part whose time was up at once had no rows, and nothing was broken in none."""
    assert judged("kills", ())[0].faults
    assert judged("kills", (Row("x", 0, (), ""),))[1].faults
    assert not judged("kills", (Row("x", 1, (), ""),))[0].faults
