"""What a Space would get, in a fresh environment made from requirements.txt alone, hosted.

python -m benchmarks.speed.space

Copies the files that ``make space`` lists, installs, starts ``app.py`` with ``SPACE_ID`` and a home
that is empty, and asks. Status 1 when a source is missed or a file of the server is given away.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import httpx
from gradio_client import Client, handle_file

from app.page.publish import ROOT, listing
from benchmarks.speed.server import memory, served
from core.cli.console import say
from core.gallery.examples import read_examples
from core.gallery.gallery import SHIPPED

_ASKED = 4  # examples
_T = TypeVar("_T")


def main() -> None:
    """Copy, install, serve, ask; print how long each took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=7878)
    parser.add_argument("--python", default=sys.executable, help="makes the environment")
    options = parser.parse_args()
    url = f"http://127.0.0.1:{options.port}/"
    with tempfile.TemporaryDirectory(prefix="wellspring-space-") as name:
        folder = Path(name)
        sizes = listing(ROOT)
        for path in sizes:
            (folder / "space" / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, folder / "space" / path)
        say(f"{len(sizes)} files, {sum(sizes.values()) / 1e6:.0f} MB")
        _timed("installed", lambda: _install(folder / "venv", options.python, folder / "space"))
        command = [str(folder / "venv/bin/python"), "app.py", "--port", str(options.port)]
        with served(
            command, url, folder=folder / "space", environment=_environment(folder / "home")
        ) as process:
            client = _timed("opened", lambda: Client(url, verbose=False))
            right = sum(_is_right(client, number) for number in range(_ASKED))
            say(f"{right} of {_ASKED} examples answered with their source first")
            closed = _keeps_files(url, folder)
            say(f"files of the server are {'kept' if closed else 'GIVEN AWAY'}")
            say(f"resident memory: {memory(process.pid, 'VmHWM') / 1e6:,.0f} MB at most")
    if right < _ASKED or not closed:
        raise SystemExit(1)


def _timed(what: str, work: Callable[[], _T]) -> _T:
    began = time.monotonic()
    found = work()
    say(f"{what} in {time.monotonic() - began:.1f} s")
    return found


def _install(venv: Path, python: str, space: Path) -> None:
    """The requirements, and what a Space installs beside them."""
    subprocess.run([python, "-m", "venv", venv], check=True)
    pip = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    found = re.search(r"^sdk_version: (\S+)$", (space / "README.md").read_text(), re.MULTILINE)
    assert found is not None
    own = [f"gradio[oauth,mcp]=={found[1]}", "spaces"]
    subprocess.run([*pip, "-r", space / "requirements.txt", *own], check=True)


def _environment(home: Path) -> dict[str, str]:
    """Nothing of this shell but the path: a Space starts with an empty home."""
    home.mkdir()
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "SPACE_ID": "somebody/wellspring",
        "GRADIO_SERVER_NAME": "127.0.0.1",
    }


def _is_right(client: Client, number: int) -> bool:
    example = read_examples(SHIPPED)[number]
    found = _timed(
        f"example {number + 1} answered",
        lambda: client.predict(handle_file(example.file), api_name="/attribute"),
    )
    return found["matches"][0]["file"] in example.sources


def _keeps_files(url: str, folder: Path) -> bool:
    files = [folder / "space/app.py", folder / "space/assets/gallery/gallery.json", "/etc/hostname"]
    replies = [httpx.get(f"{url}gradio_api/file={file}") for file in files]
    return all(reply.status_code in (403, 404) for reply in replies)


if __name__ == "__main__":
    main()
