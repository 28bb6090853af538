"""The command line as a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def process(*arguments: object, **environ: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command with these variables of the environment beside the usual ones."""
    return subprocess.run(
        [sys.executable, "-m", "core", *map(os.fsencode, map(str, arguments))],
        capture_output=True,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environ,
        timeout=100,
        check=False,
    )
