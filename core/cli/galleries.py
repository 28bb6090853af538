"""Commands that build, change and check galleries."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table

from core.cli.console import (
    print_json,
    reporting,
    results,
    say,
)
from core.cli.options import (
    BUNDLED,
    Device,
    EncoderNames,
    GalleryFolder,
    JsonFlag,
    ShippedFlag,
    app,
)
from core.encoders.load import load_encoder
from core.encoders.registry import encoder_infos
from core.gallery.commit import Change
from core.gallery.gallery import Gallery
from core.gallery.remove import remove
from core.gallery.source import Source
from core.gallery.verify import verify
from core.service.building import bring_up, build
from core.service.library import refuse_shipped


@app.command()
def encoders(*, json: JsonFlag = False) -> None:
    """List the encoders that can be named."""
    infos = encoder_infos()
    if json:
        print_json([vars(info) for info in infos])
        return
    table = Table("name", "what", "method", "licence", "weights")
    for info in infos:
        where = "here" if info.here else "fetched at first use"
        table.add_row(info.name, info.title, info.method, info.licence, where)
    results.print(table)


@app.command()
def index(
    source: Annotated[str, typer.Argument(help="Folder, zip, or Hugging Face dataset.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder of the gallery.")],
    encoder: EncoderNames = None,
    device: Device = "cpu",
    shipped: ShippedFlag = False,
    json: JsonFlag = False,
) -> None:
    """Build a gallery from images, or bring it up to date; a stopped build goes on."""
    with reporting() as progress:
        _changeable(out, shipped=shipped)
        loaded = [load_encoder(name, device=device) for name in encoder or BUNDLED]
        change = build(source, out, loaded, progress=progress)
    _report(change, out, json=json)


@app.command()
def add(
    source: Annotated[str, typer.Argument(help="Folder of images.")],
    *,
    gallery: Annotated[Path, typer.Option(help="Folder of the gallery.")],
    encoder: EncoderNames = None,
    device: Device = "cpu",
    shipped: ShippedFlag = False,
    json: JsonFlag = False,
) -> None:
    """Add a folder's new and changed images to a gallery, under the encoders that it has.

    Encoders are found by their names; those that were loaded from a folder have to be named.
    """
    with reporting() as progress:
        _changeable(gallery, shipped=shipped)
        names = encoder or Gallery.open(gallery).encoder_names
        loaded = [load_encoder(name, device=device) for name in names]
        change = bring_up(gallery, Source(Path(source)), loaded, progress=progress)
    _report(change, gallery, json=json)


@app.command("remove")
def remove_images(
    ids: Annotated[list[int], typer.Argument(help="Ids of images, as `attribute` prints them.")],
    *,
    gallery: Annotated[Path, typer.Option(help="Folder of the gallery.")],
    block: Annotated[
        bool,
        typer.Option("--tombstone", "--block", help="Keep them and their resaves out for good."),
    ] = False,
    shipped: ShippedFlag = False,
    json: JsonFlag = False,
) -> None:
    """Take images out of a gallery; with ``--tombstone``, their resaves too, for good."""
    with reporting():
        _changeable(gallery, shipped=shipped)
        change = remove(gallery, ids, block=block)
    _report(change, gallery, json=json)


@app.command("verify")
def verify_gallery(gallery: GalleryFolder, *, json: JsonFlag = False) -> None:
    """Name every damaged file of a gallery; status 1 when there is one."""
    with reporting() as progress:
        damages = verify(gallery, progress=progress)
    if json:
        print_json([vars(damage) for damage in damages])
    for damage in damages:
        say(f"{damage.file}: {damage.what}")
    if damages:
        raise typer.Exit(1)
    say("all files are whole")


def _changeable(folder: Path, *, shipped: bool) -> None:
    if not shipped:
        refuse_shipped(folder)


def _report(change: Change, out: Path, *, json: bool) -> None:
    for skipped in change.skipped:
        say(f"left out {skipped.path!r}: {skipped.reason}")
    for path in change.kept_out:
        say(f"kept out {path!r}: an image like it was removed for good")
    if json:
        print_json({**vars(change), "skipped": [vars(skipped) for skipped in change.skipped]})
        return
    kept_out = f", {len(change.kept_out)} kept out by the blocklist" if change.kept_out else ""
    say(
        f"{out} holds {change.images} images: {change.added} added, {change.removed} removed, "
        f"{len(change.skipped)} left out{kept_out}"
    )
