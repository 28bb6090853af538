"""Every command that the documentation shows is one that the command line takes."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.core import TyperGroup
from typer.exceptions import TyperException
from typer.main import get_command

from core.cli.commands import app

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "assets" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
CLI = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
INSTEAD = {"ID": "1", "K": "whiten", "moco|dino": "dino", "cuda": "cpu", "FIRST": "."}
"""Values for placeholders; a device and a folder that are here."""

MAIN = get_command(app)
assert isinstance(MAIN, TyperGroup)
COMMANDS = MAIN.commands
OPTIONS = {
    name: {o for p in command.params for o in (*p.opts, *p.secondary_opts) if o.startswith("--")}
    for name, command in COMMANDS.items()
}


def parse(command: str) -> None:
    """Parse a command, from its name on, without running it.

    Raises:
        KeyError: for another command.
        TyperException: for what it does not take, or lacks.
    """
    words = shlex.split(command.replace("\\|", "|"), comments=True)
    name, *arguments = (INSTEAD.get(w, w) for w in (w.removesuffix("...") for w in words))
    COMMANDS[name].make_context(name, arguments)


def shown(text: str) -> list[str]:
    """What follows ``-m core`` in a page: to the end of its line or of its inline code."""
    found = re.findall(r"-m core ([^`\n]+)", text.replace("\\\n", " "))
    return [command for command in found if not command.startswith(("COMMAND", "-"))]


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, id=f"{page.name}: {command[:30]}")
        for page in PAGES
        for command in shown(page.read_text(encoding="utf-8"))
    ],
)
def test_commands_are_taken(command: str) -> None:
    parse(command)


def test_the_table_has_every_command_as_it_is_called() -> None:
    rows = re.findall(r"^\| `([a-z][^`]*)` \| ", CLI.split("\n## ")[0], flags=re.MULTILINE)
    for row in rows:
        parse(row)
    assert [row.split()[0] for row in rows] == list(COMMANDS)


def test_options_within_sentences_are_those_of_their_command() -> None:
    spans = [span.split() for span in re.findall(r"`([^`\n]+)`", CLI)]
    within = [words for words in spans if words[0] in COMMANDS and len(words) > 1]
    assert len(within) >= len(COMMANDS)
    for name, *words in within:
        assert {word for word in words if word.startswith("--")} <= OPTIONS[name]


def test_every_option_that_is_named_is_one_of_some_command() -> None:
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", CLI)) - {"--help"}
    assert len(named) > 10
    assert named <= set().union(*OPTIONS.values())


@pytest.mark.parametrize(
    "command",
    [
        "verify G --loud",
        "verify",
        "train simclr photos --out runs",
        "attribute IMAGE --top many",
        "project G H",
    ],
)
def test_a_wrong_command_would_be_noticed(command: str) -> None:
    """Negative control."""
    with pytest.raises(TyperException):
        parse(command)
