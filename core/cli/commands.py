"""The command line: ``python -m core``."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import typer
from jaxtyping import Float
from rich.table import Table

from core.cli import console
from core.cli.console import (
    print_json,
    reporting,
    results,
    say,
)
from core.config import (
    GENERATIVE,
    BuildConfig,
    HeadConfig,
    HeadKind,
    ImageLimits,
    NullConfig,
    RegulariseConfig,
    ScoreConfig,
    TrainConfig,
    TuneConfig,
    ViewConfig,
)
from core.encoders.load import load_encoder
from core.encoders.registry import encoder_infos
from core.explain.projection import place
from core.gallery.commit import Change
from core.gallery.gallery import Gallery
from core.gallery.remove import remove
from core.gallery.source import Source
from core.gallery.verify import verify
from core.images.decode import LoadedImage, decode_ahead
from core.images.listing import list_images
from core.measures.evaluate import Bench, Evaluation
from core.report.cases import attribute_command, case_of, run_of, without_images
from core.report.files import KINDS, write_report
from core.report.objects import answer_object
from core.search.prepare import fitted_head
from core.service.building import bring_up, build
from core.service.library import refuse_shipped
from core.service.reverse import adjust_known, reverse_lookup
from core.service.session import (
    Choice,
    Session,
    choose_head,
)
from core.service.workspace import Query, Workspace
from core.values import (
    Encoder,
    EncoderError,
    GalleryError,
    ImageError,
    Progress,
)

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Which training images did this image come from?",
)

BUNDLED = ("lite0", "moco", "dino")
"""Encoders used where none is named."""

_NEEDS_TRAINING = "training needs more packages: pip install -r requirements-train.txt"

JsonFlag = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
EncoderNames = Annotated[
    list[str] | None, typer.Option("--encoder", help="Encoder by name; may be repeated.")
]
ShippedFlag = Annotated[
    bool,
    typer.Option("--shipped", help="Change the gallery that comes with the program, as its maker."),
]
EncoderName = Annotated[
    str | None, typer.Option(help="Encoder; by default moco, or one that the gallery has.")
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


@app.command()
def attribute(
    images: Annotated[list[Path], typer.Argument(help="Images to find the sources of.")],
    *,
    gallery: Annotated[str, typer.Option(help="Folder of a gallery.")] = "builtin",
    encoder: EncoderName = None,
    head: Annotated[str, typer.Option(help="`default`, a kind, or a folder.")] = "default",
    edges: Annotated[bool, typer.Option(help="Score edges beside the embedding.")] = True,
    rerank: Annotated[bool, typer.Option(help="Local re-ranking.")] = True,
    local_scaling: Annotated[bool, typer.Option(help="Local scaling (CSLS).")] = True,
    search: Annotated[
        Literal["exact", "hnsw"],
        typer.Option(help="Compare with all images, or walk a graph that may miss some."),
    ] = "exact",
    top: Annotated[int, typer.Option(min=1, help="Matches to print.")] = 10,
    prior: Annotated[
        float, typer.Option(help="Probability of a source before the image is seen.")
    ] = NullConfig().prior,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Sum shares by creator, licence or any column; may be repeated."),
    ] = None,
    json: JsonFlag = False,
    report: Reports = None,
    report_images: Annotated[bool, typer.Option(help="Show the images in an HTML report.")] = True,
) -> None:
    """Rank the candidate sources of images; with several, p-values are also adjusted for that."""
    if not 0 < prior < 1:
        raise typer.BadParameter(f"--prior must lie between 0 and 1, got {prior}")
    session = Session()
    score = ScoreConfig(search=search, edges=edges, rerank=rerank, local_scaling=local_scaling)
    with reporting() as progress:
        choice = Choice(encoder or _encoder_of(session, gallery), head, gallery, score)
        answers = [
            session.attribute(i, choice, top=top, prior=prior, progress=progress) for i in images
        ]
        shares = [session.shares(found, choice, columns=by) if by else None for found in answers]
        several = [None] * len(images)
        if len(images) > 1:
            several = adjust_known([found.p_value for found in answers])
        asked = list(zip(images, answers, several, shares, strict=True))
        if report:
            cases = []
            for path, found, p, _ in asked:
                case = case_of(session, path, answer=found, choice=choice)
                case = case if report_images else without_images(case)
                cases.append(replace(case, p_adjusted=p))
            command = attribute_command(
                [str(path) for path in images], choice, top=top, prior=prior
            )
            run = run_of(session.workspace(choice), command, prior=prior)
            for path in report:
                write_report(path, cases, run)
    if json:
        objects = [
            answer_object(str(path), found, p_adjusted=p, shares=sums)
            for path, found, p, sums in asked
        ]
        print_json(objects[0] if len(objects) == 1 else objects)
        return
    for path, found, p, sums in asked:
        console.print_answer(str(path), found, p_adjusted=p, shares=sums)


@app.command()
def reverse(
    folder: Annotated[Path, typer.Argument(help="Folder of generated images.")],
    *,
    gallery: Annotated[str, typer.Option(help="Folder of a gallery.")] = "builtin",
    source: Annotated[
        list[int] | None, typer.Option(help="Id of a gallery image; may be repeated.")
    ] = None,
    upload: Annotated[
        list[Path] | None, typer.Option(help="Image that is not in the gallery; may be repeated.")
    ] = None,
    fdr: Annotated[float, typer.Option(help="False-discovery rate, between 0 and 1.")] = 0.05,
    encoder: EncoderName = None,
    head: Annotated[str, typer.Option(help="`default`, a kind, or a folder.")] = "default",
    json: JsonFlag = False,
) -> None:
    """Find the generated images that an image is a likely source of."""
    if not 0 < fdr < 1:
        raise typer.BadParameter(f"--fdr must lie between 0 and 1, got {fdr}")
    if not (source or upload):
        raise typer.BadParameter("name a source: --source ID or --upload FILE")
    session = Session()
    with reporting() as progress:
        name = encoder or _encoder_of(session, gallery)
        workspace = session.workspace(Choice(name, head, gallery), progress=progress)
        found = reverse_lookup(
            workspace,
            _queries(session, workspace, list_images(folder), progress),
            ids=source or [],
            uploads={str(path): session.image(path) for path in upload or []},
            rate=fdr,
        )
    if json:
        print_json({"fdr": fdr, "pairs": [vars(finding) for finding in found]})
        return
    console.print_findings(found, rate=fdr)


@app.command()
def evaluate(
    *,
    pairs: Annotated[Path, typer.Option(help="JSON list of generated images and exemplars.")],
    gallery: Annotated[Path, typer.Option(help="Folder of images, or a gallery.")],
    encoder: EncoderNames = None,
    head: Annotated[list[str] | None, typer.Option(help="Head; may be repeated.")] = None,
    split: Annotated[Literal["tune", "untouched", "all"], typer.Option()] = "all",
    edges: Annotated[bool, typer.Option(help="Score edges beside the embedding.")] = True,
    rerank: Annotated[bool, typer.Option(help="Local re-ranking.")] = True,
    local_scaling: Annotated[bool, typer.Option(help="Local scaling (CSLS).")] = True,
    json: Annotated[Path | None, typer.Option(help="File for all results.")] = None,
) -> None:
    """Rank known pairs; recall, precision and paired differences with clustered intervals."""
    score = ScoreConfig(edges=edges, rerank=rerank, local_scaling=local_scaling)
    with reporting() as progress:
        loaded = [load_encoder(name) for name in encoder or BUNDLED]
        bench = Bench(pairs, gallery, loaded, cache=_cache(), progress=progress)
        chosen = tuple(p for p in bench.all_pairs if split in ("all", p.half))
        if not chosen:
            raise GalleryError(f"no pair of {pairs.name} is in the half {split!r}")
        columns, measures = {}, {}
        for network in loaded:
            for name in head or ["default"]:
                fitted = choose_head(bench.gallery, network, name, progress=progress)
                column = f"{network.name}/{name}"
                columns[column] = bench.run(
                    network, fitted, pairs=chosen, score=score, progress=progress
                )
                measures[column] = bench.measures(network, fitted, pairs=chosen)
    found = Evaluation(chosen, bench.size, columns, measures)
    console.print_evaluation(found, split=split)
    if json is not None:
        with reporting():
            console.write_evaluation(found, json, split=split)


@app.command("fit-head")
def fit_head(
    gallery: GalleryFolder,
    *,
    encoder: EncoderName = None,
    kind: Annotated[HeadKind, typer.Option(help="What the head does.")],
    k: Annotated[int, typer.Option(help="Embedding dimensions.")] = HeadConfig().k,
    shrinkage: Annotated[
        float | None, typer.Option(help="From 0 to 1; follows from the images where not given.")
    ] = None,
    synthetic: Annotated[
        Path | None, typer.Option(help="Folder of generated images, for --per-domain.")
    ] = None,
    per_domain: Annotated[
        bool, typer.Option("--per-domain", help="Centre queries by the mean of --synthetic.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Folder for the head.")],
    json: JsonFlag = False,
) -> None:
    """Fit a head on a gallery's features, without labels or pairs."""
    if per_domain != (synthetic is not None):
        raise typer.BadParameter("--per-domain and --synthetic FOLDER are used together")
    if per_domain and kind == "identity":
        raise typer.BadParameter("--per-domain has no use with the kind identity")
    try:
        config = HeadConfig(kind=kind, k=k, shrinkage=shrinkage, per_domain=per_domain)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    session = Session()
    with reporting() as progress:
        opened = session.gallery(str(gallery))
        chosen = load_encoder(encoder or _encoder_of(session, str(gallery)))
        made = None if synthetic is None else _features(chosen, synthetic, progress)
        fitted = fitted_head(opened, chosen, config=config, synthetic=made, progress=progress)
        fitted.save(out)
    if json:
        print_json({"name": fitted.name, "identity": fitted.identity, "out": str(out)})
    say(f"{fitted.name} with identity {fitted.identity} is in {out}")


@app.command()
def project(
    gallery: GalleryFolder,
    *,
    encoder: EncoderName = None,
    head: Annotated[str, typer.Option(help="`default`, a kind, or a folder.")] = "default",
    image: Annotated[list[Path] | None, typer.Option(help="Image to place on the map.")] = None,
    json: JsonFlag = True,
) -> None:
    """Print the gallery's 2-D map as JSON, always; it is fitted once and kept."""
    del json  # there is no other form
    session = Session()
    with reporting() as progress:
        name = encoder or _encoder_of(session, str(gallery))
        workspace = session.workspace(Choice(name, head, str(gallery)), progress=progress)
        layout = workspace.layout(progress=progress)
        queries = [session.query(workspace, path).embedding for path in image or []]
        placed = place(layout, np.stack(queries)).tolist() if queries else []
    points = zip(workspace.gallery.records, layout.points.tolist(), strict=True)
    print_json(
        {
            "points": [{"id": record.id, "path": record.path, "xy": xy} for record, xy in points],
            "placed": [
                {"path": str(path), "xy": xy} for path, xy in zip(image or [], placed, strict=True)
            ],
        }
    )


@app.command()
def train(
    method: Annotated[Literal["moco", "dino"], typer.Argument(help="Objective.")],
    folders: Annotated[list[Path], typer.Argument(help="Folders of images.")],
    *,
    out: Annotated[Path, typer.Option(help="Folder of the run; an existing run goes on.")],
    steps: Annotated[int, typer.Option(help="Optimiser steps of the whole run.")] = 10_000,
    minutes: Annotated[float, typer.Option(help="Budget of this call, minutes.")] = float("inf"),
    batch: Annotated[int, typer.Option(help="Images per step and process.")] = 256,
    size: Annotated[int, typer.Option(min=8, help="Side of the packed images, pixels.")] = 96,
    view: Annotated[int, typer.Option(help="Side of the views, pixels.")] = ViewConfig().size,
    views: Annotated[
        Literal["plain", "generative"],
        typer.Option(help="Camera-like views, or also what generators do to a source."),
    ] = "plain",
    start: Annotated[
        str | None, typer.Option(help="Encoder, by name or folder, that a new run begins with.")
    ] = None,
    rate: Annotated[float, typer.Option(help="Learning rate per 256 images.")] = 1e-3,
    frozen: Annotated[
        int, typer.Option(help="First stages of the start that are held.")
    ] = TuneConfig().frozen_stages,
    keep: Annotated[
        float, typer.Option(help="Weight of staying near the start.")
    ] = TuneConfig().keep,
    infomax: Annotated[float, typer.Option(help="Weight of information maximisation.")] = 0.0,
    low_rank: Annotated[float, typer.Option(help="Weight of the low-rank prior (LORAC).")] = 0.0,
    pairs: Annotated[Path | None, typer.Option(help="Pairs watched during training.")] = None,
    device: Device = "cpu",
    seed: Annotated[int, typer.Option(help="Seed of weights, order and views.")] = 0,
    json: JsonFlag = False,
) -> None:
    """Train a backbone without labels and without pairs."""
    look = GENERATIVE if views == "generative" else ViewConfig()
    try:
        config = TrainConfig(
            method,
            steps,
            minutes,
            batch,
            rate,
            start=start,
            tune=TuneConfig(frozen, keep),
            seed=seed,
            device=device,
            view=replace(look, size=view),
            regularise=RegulariseConfig(infomax, low_rank),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    first = os.environ.get("RANK", "0") == "0"  # of the processes that torchrun started
    with reporting(quiet=not first) as progress:
        try:
            from core.training.run import train_encoder  # noqa: PLC0415 - needs more packages
        except ImportError as error:
            raise EncoderError(_NEEDS_TRAINING) from error
        done = train_encoder(config, folders, out=out, size=size, pairs=pairs, progress=progress)
    if not first:
        return
    if json:
        print_json({"method": method, "out": str(out), "complete": done})
    state = "complete" if done else "stopped; the same command goes on with it"
    say(f"{method} in {out}: {state}")


def _encoder_of(session: Session, gallery: str) -> str:
    """The encoder used where none is named: the program's, or one that the gallery has."""
    names = session.gallery(gallery).encoder_names
    default = Choice().encoder
    return default if default in names or not names else names[0]


def _features(encoder: Encoder, folder: Path, progress: Progress) -> Float[np.ndarray, "m f"]:
    """Features of the images below a folder that can be read; the others are named."""
    config, paths = BuildConfig(), list_images(folder)
    loads = decode_ahead(paths, limits=ImageLimits(), workers=config.workers, fit=config.thumbnail)
    rows: list[np.ndarray] = []
    for done, (path, loaded) in enumerate(loads, 1):
        if isinstance(loaded, LoadedImage):
            rows.append(encoder.encode([loaded.image]).features)
        else:
            say(f"left out {str(path)!r}: {loaded}")
        progress(done, len(paths), "looking at generated images")
    if not rows:
        raise GalleryError(f"no image that can be read lies below {folder}")
    return np.concatenate(rows)


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


def _queries(
    session: Session, workspace: Workspace, paths: Sequence[Path], progress: Progress
) -> Iterator[tuple[str, Query]]:
    """Queries of the images that can be read; the others are named and left out."""
    for done, path in enumerate(paths, 1):
        try:
            yield str(path), session.query(workspace, path)
        except ImageError as error:
            say(f"left out {str(path)!r}: {error}")
        progress(done, len(paths), "looking at generated images")


def _cache() -> Path:
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "wellspring"
    return Path(os.environ.get("WELLSPRING_CACHE", default))


if __name__ == "__main__":
    app()
