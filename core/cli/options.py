"""The command line's application, and the options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import torch
import typer

from core.report.files import KINDS
from core.service.choice import Choice
from core.service.session import Session

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Which training images did this image come from?",
)

BUNDLED = ("lite0", "moco", "dino")
"""Encoders used where none is named."""


JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
EncoderNames = Annotated[
    list[str] | None, typer.Option("--encoder", help="Encoder by name; may be repeated.")
]
ShippedFlag = Annotated[
    bool,
    typer.Option("--shipped", help="Change the gallery that comes with the program, as its maker."),
]
EncoderName = Annotated[
    str | None, typer.Option(help="Encoder; by default lite0, or one that the gallery has.")
]
GalleryFolder = Annotated[Path, typer.Argument(help="Folder of a gallery.")]


def _known_device(name: str) -> str:
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:
        raise typer.BadParameter(f"{name!r} is not a device of this machine") from error
    return name


def _known_reports(paths: list[Path] | None) -> list[Path] | None:
    for path in paths or []:
        if path.suffix.lower() not in KINDS:
            raise typer.BadParameter(f"a report ends in {', '.join(KINDS)}; {path.name!r} does not")
    return paths


Reports = Annotated[
    list[Path] | None,
    typer.Option(
        help="Evidence report, .html, .json or .csv; may be repeated.", callback=_known_reports
    ),
]
Device = Annotated[str, typer.Option(help="Torch device of the encoder.", callback=_known_device)]


def encoder_of(session: Session, gallery: str, *, named: str | None) -> str:
    """The encoder that is named, else the program's own, or one that the gallery has."""
    if named is not None:
        return named
    names = session.gallery(gallery).encoder_names
    default = Choice().encoder
    return default if default in names or not names else names[0]
