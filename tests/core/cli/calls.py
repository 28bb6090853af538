"""The command line, called within the process."""

from __future__ import annotations

import json
import re
from typing import Any

import jsonschema
from typer.testing import CliRunner, Result

from core.cli.commands import app


def call(*arguments: object) -> Result:
    """Run the command line; whatever it raises, but to exit, fails the test."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert "Traceback" not in result.output
    return result


def said(result: Result, schema: dict[str, object] | None = None) -> Any:
    """The JSON on standard output, which holds nothing else."""
    assert result.exit_code == 0, result.stderr
    value = json.loads(result.stdout)
    if schema:
        jsonschema.validate(value, schema)
    return value


def failed(result: Result, what: str, *, code: int = 1) -> None:
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert re.search(what, " ".join(re.sub("[│╭╮╰╯─]", " ", result.stderr).split())), result.stderr
