"""A gallery's life is gone through, and what is wrong with it is seen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="children are forked")

_LIFE = """
import sys
from pathlib import Path
import core.gallery.parts
from benchmarks.scale.life import Life

core.gallery.parts.SMALL = 0
life = Life(Path(sys.argv[1]), 40, seed=3)
for _ in range(4):
    life.change()
assert sum(life.counts.values()) == 4
later = Life(Path(sys.argv[1]), 40, seed=5)
assert (later.changes, later.counts, later.drawn) == (4, life.counts, life.drawn)
assert later.now == life.now and later.rng.random() == life.rng.random()
current = max(life.folder.glob("generations/*"), key=lambda each: int(each.name))
path = next(current.glob("*/features.npy"))
data = path.read_bytes()
path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
try:
    life.change()
except AssertionError as error:
    print("seen", error)
"""


def test_a_gallery_lives_and_its_damage_is_seen(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _LIFE, str(tmp_path)]
    found = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert found.returncode == 0, found.stderr
    assert found.stdout.startswith("seen")
