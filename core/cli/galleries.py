"""Commands that build, change and check galleries."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from core.cli.console import (
    print_json,
    print_table,
    reporting,
    say,
    say_once,
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
from core.config import BuildConfig
from core.encoders.load import load_encoder
from core.encoders.registry import at_hand, encoder_infos
from core.gallery.commit import Change
from core.gallery.gallery import Gallery
from core.gallery.opting import Opted, opt_in, opt_out
from core.gallery.remove import ids_of, remove
from core.gallery.source import Source
from core.gallery.store import Store
from core.gallery.verify import changed_images, verify, without_digest
from core.report.changes import change_lines, change_object
from core.search.table_check import changed_table
from core.service.building import (
    bring_up,
    build,
    finish,
    search_with_faiss,
    search_with_lance,
)
from core.service.library import BUILTIN, refuse_shipped
from core.service.session import Session
from core.values import GalleryError


@app.command()
def encoders(*, json: JsonFlag = False) -> None:
    """List the encoders that can be named."""
    infos = encoder_infos()
    if json:
        print_json([vars(info) for info in infos])
        return
    rows = [
        (i.name, i.title, i.method, i.licence, "here" if i.here else "fetched at first use")
        for i in infos
    ]
    columns = ("name", "what", "method", "licence", "weights")
    print_table(columns, rows, wide=columns[1:])


@app.command()
def index(
    source: Annotated[str, typer.Argument(help="Folder, zip, or Hugging Face dataset.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder of the gallery.")],
    encoder: EncoderNames = None,
    device: Device = "cpu",
    prune: Annotated[
        bool, typer.Option("--prune", help="Drop images whose files are no longer there.")
    ] = False,
    title: Annotated[
        str | None, typer.Option(help="What the gallery is called; else as its folder.")
    ] = None,
    about: Annotated[
        str | None, typer.Option(help="What the images are: `scans of herbarium sheets`.")
    ] = None,
    engine: Annotated[
        Literal["faiss", "lance"] | None,
        typer.Option(help="What searches it; else as before, or FAISS."),
    ] = None,
    uri: Annotated[
        str, typer.Option(help="Folder or URI of LanceDB; else inside the gallery.")
    ] = "",
    ray: Annotated[
        str,
        typer.Option(
            help="Ray cluster whose workers encode: local (this machine), auto, or HOST:PORT."
        ),
    ] = "",
    shipped: ShippedFlag = False,
    json: JsonFlag = False,
) -> None:
    """Build a gallery from images, or bring it up to date; a stopped build goes on.

    Encoders that are not named: those that the gallery has, or else the bundled ones.
    """
    if uri and engine != "lance":
        raise typer.BadParameter("--uri goes with --engine lance")
    with reporting() as progress:
        _changeable(out, shipped=shipped)
        names = encoder or _encoders_of(out) or BUNDLED
        loaded = [load_encoder(name, device=device) for name in names]
        config = BuildConfig(ray=ray)
        change = build(source, out, loaded, prune=prune, config=config, progress=progress)
        if title is not None:
            Store(out).rename(title)
        if about is not None:
            Store(out).describe(about)
        if engine == "faiss":
            search_with_faiss(out)
        if engine == "lance":
            search_with_lance(out, loaded, database=uri, progress=progress)
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
        if not encoder:
            opened = Gallery.open(gallery)
            opened.require_images()
            encoder = list(opened.encoder_names)
        loaded = [load_encoder(name, device=device) for name in encoder]
        change = bring_up(gallery, Source(Path(source)), loaded, progress=progress)
    _report(change, gallery, json=json)


@app.command()
def prepare(
    names: Annotated[list[str], typer.Argument(help="Networks, as `encoders` names them.")],
    *,
    gallery: Annotated[str, typer.Option(help="builtin, or the folder of a gallery.")] = BUILTIN,
    device: Device = "cpu",
    json: JsonFlag = False,
) -> None:
    """Fetch encoders and describe a gallery by them, beside it; a stopped call goes on."""
    with reporting() as progress:
        session = Session(device=device)
        for name in names:
            session.preparations.prepare(gallery, name, progress=progress)
        found = session.gallery(gallery).encoder_names
    if json:
        print_json({"encoders": list(found)})
    else:
        say(f"{gallery} is described by {', '.join(found)}")


@app.command("remove")
def remove_images(
    images: Annotated[
        list[str], typer.Argument(help="Ids of images, as `attribute` prints them, or paths.")
    ],
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
    with reporting() as progress:
        _changeable(gallery, shipped=shipped)
        ids = ids_of(Gallery.open(gallery, whole=True), images)
        change = remove(gallery, ids, block=block, progress=progress)
        loaded = [load_encoder(name) for name in _encoders_of(gallery) if at_hand(name)]
        change = replace(change, recall=finish(gallery, loaded, progress=progress))
    _report(change, gallery, json=json)


@app.command("opt-out")
def opt_images_out(
    images: Annotated[
        list[str] | None,
        typer.Argument(help="Ids of images, or paths; none lists what is opted out."),
    ] = None,
    *,
    gallery: Annotated[Path, typer.Option(help="Folder of the gallery.")],
    json: JsonFlag = False,
) -> None:
    """Take images out of every answer of a gallery; ``opt-in`` undoes it at once."""
    _opt(opt_out, images or [], gallery, json=json)


@app.command("opt-in")
def opt_images_in(
    images: Annotated[list[str], typer.Argument(help="Ids of opted-out images, or paths.")],
    *,
    gallery: Annotated[Path, typer.Option(help="Folder of the gallery.")],
    json: JsonFlag = False,
) -> None:
    """Let images that were opted out be part of answers again."""
    _opt(opt_in, images, gallery, json=json)


def _opt(
    change: Callable[[Path, Collection[int]], Opted], images: list[str], folder: Path, *, json: bool
) -> None:
    with reporting():
        refuse_shipped(folder)
        gallery = Gallery.open(folder, whole=True)
        ids = ids_of(gallery, images)
        out = change(folder, ids).out if ids else gallery.header.opted_out
    if json:
        print_json({"images": len(gallery), "opted_out": list(out)})
        return
    for number in out:
        say(f"{number}: {gallery.records[gallery.row_of[number]].path}")
    say(f"{len(out):,} of {len(gallery):,} images of {folder} are opted out of answers")


@app.command("verify")
def verify_gallery(gallery: GalleryFolder, *, json: JsonFlag = False) -> None:
    """Name every damaged file of a gallery, or what else has changed; status 1 when there is any.

    That is the table of LanceDB that searches it, and the files of its images.
    """
    with reporting() as progress:
        damages = verify(gallery, progress=progress)
        if not damages and not (opened := Gallery.open(gallery)).header.generation:
            opened.require_images()
        damages = damages or [
            *changed_table(gallery, progress=progress),
            *changed_images(gallery, progress=progress),
        ]
        older = 0 if damages else without_digest(gallery, progress=progress)
    if json:
        print_json([vars(damage) for damage in damages])
    for damage in damages:
        say(f"{damage.file}: {damage.what}; {damage.mend}")
    if damages:
        raise typer.Exit(1)
    table = Store(gallery).header().lance
    say("all files are whole, and so is the search table" if table else "all files are whole")
    if older:
        say(f"{older:,} thumbnails are of an earlier version, without digests: they can be opened")


def _changeable(folder: Path, *, shipped: bool) -> None:
    if not shipped:
        refuse_shipped(folder)


def _encoders_of(folder: Path) -> Sequence[str]:
    """Names of the encoders of a gallery; none where there is no whole one yet."""
    try:
        return Gallery.open(folder).encoder_names
    except GalleryError:
        return ()


def _report(change: Change, out: Path, *, json: bool) -> None:
    first, *lines = change_lines(change, prune="`index --prune`")
    for line in lines:
        say_once(line)
    if json:
        print_json(change_object(change))
    else:
        say(f"{out} holds {first}")
