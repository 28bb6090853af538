"""The quick campaign finds nothing; faults come when they are told to, and breaking is seen."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

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
for fault in (Fault("none"), Fault("kill", 2), Fault("torn", 300), Fault("full", 1)):
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
    ], found.stderr


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", ["kills", "hostile", "load", "visitors"])
def test_the_quick_campaign_finds_nothing(part: str) -> None:
    found = run("-m", "benchmarks.campaign", "--quick", "--minutes", "2", "--only", part)
    assert found.returncode == 0, found.stdout + found.stderr
