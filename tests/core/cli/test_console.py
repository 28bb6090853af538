"""Output that no encoding, terminal, reader or file name breaks."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from core.cli import console
from tests.core.cli.processes import ROOT, forked, process

NAMES = (
    "größe 图 صورة.png".encode(),
    b"\xff\xfe.png",
    b"a\x1b[31m\x07\n\r.png",
    "\u202egnp.exe\u200f.png".encode(),
    b":smile: [red] [bold.png",
)
"""Names of files: of other scripts, no text, that move a terminal, that turn writing, of markup."""
COLUMNS = ("rank", "id", "path", "cosine", "score", "p", "confidence", "influence")
HELP = ("attribute", "--help")
UNSAFE = ("\x1b", "\x07", "\r", "\u202e", "\u200f")


@pytest.fixture
def odd(photos) -> list[Path]:
    """Files of odd names, beside the images of a gallery."""
    files = [Path(os.fsdecode(os.fsencode(photos) + b"/" + name)) for name in NAMES]
    for file in files:
        shutil.copy(photos / "01.png", file)
    return files


@pytest.mark.slow
@pytest.mark.parametrize(
    "environ",
    [
        {"PYTHONIOENCODING": "cp1252"},
        {"PYTHONIOENCODING": "ascii"},
        {"PYTHONIOENCODING": "utf-8:strict", "COLUMNS": "30"},
        {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
    ],
)
def test_names_of_all_kinds_are_printed_whatever_the_encoding(folder, odd, environ) -> None:
    (folder.parent / "broken\x1b.png").write_bytes(b"x")
    files = [*odd, folder.parent / "broken\x1b.png"]
    ask, more = ("attribute", *files, "--gallery", folder, "--top", 1), ()
    if environ == {"PYTHONIOENCODING": "ascii"}:  # the commands that change a gallery, and help
        more = (("add", odd[0].parent, "--gallery", folder), ("verify", folder), HELP)
    done, *others = forked(ask, *more, **environ)
    encoding = environ.get("PYTHONIOENCODING", "ascii").partition(":")[0]
    out, err = done.stdout.decode(encoding), done.stderr.decode(encoding)
    assert done.returncode == 1  # because of the one that is no image
    assert "Traceback" not in err
    assert not any(mark in out + err for mark in UNSAFE)
    assert " ".join(out.split()).count("the very same") == len(NAMES)
    unfolded = out.replace("\n", "")
    assert r"\x1b[31m" in unfolded
    assert ":smile:" in unfolded
    assert "broken" in err
    assert [each.returncode for each in others] == [0] * len(more)
    assert not more or others[-1].stderr == b""  # of help


@pytest.mark.slow
def test_help_is_printed_whatever_the_width() -> None:
    done = process(*HELP, COLUMNS="20")
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
def test_a_reader_that_goes_is_no_error() -> None:
    readers, commands = (
        ("head -1 >/dev/null", "true"),
        (("encoders",), HELP, ("encoders", "--json")),
    )
    for done in forked(*commands, readers=readers):
        assert done.stderr == b""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_results_that_cannot_be_written_are_an_error() -> None:
    words = shlex.join([sys.executable, "-m", "core", "encoders", "--json"])
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        f"{words} > /dev/full",
        shell=True,
        capture_output=True,
        env=environ,
        timeout=100,
    )
    assert done.returncode == 1
    assert done.stderr.strip() == b"error: [Errno 28] No space left on device"


@pytest.mark.slow
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_streams_that_are_closed_are_no_error(closed: str) -> None:
    words = shlex.join([sys.executable, "-m", "core", "encoders"])
    environ = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        f"{words} {closed}", shell=True, capture_output=True, env=environ, timeout=100
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("width", [20, 30, 40, 60, 160])
def test_a_row_is_legible_at_every_width(monkeypatch, capsys, width: int) -> None:
    """At 24 columns a table had seven columns of nothing."""
    monkeypatch.setattr(console, "results", Console(width=width, markup=False, emoji=False))
    path = "holidays/2019/harbour-at-dawn.png"
    row = ("10", "117", path, "0.834", "1.201", "0.004", "90 %", "")
    console.print_table(COLUMNS, [row], wide={"path"}, title="Matches [/b]")
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= width
    text = "".join(line.strip(" │┃") for line in lines)
    assert "Matches [/b]" in text
    assert "10" in text
    assert "117" in text
    if width < 80:
        assert path in text.replace(" ", "")
        assert "influence" not in text  # it has nothing to say
    else:
        assert "rank" in lines[2]


def test_what_moves_a_terminal_is_shown_as_python_writes_it() -> None:
    assert console.plain("a\x1b[2J\n\u2067\udcff") == r"a\x1b[2J\n\u2067\udcff"
    assert console.plain("größe 🎨 'x' \\") == "größe 🎨 'x' \\"
