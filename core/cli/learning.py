"""Commands that fit heads and train encoders."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer
from jaxtyping import Float

from core.cli.console import (
    left_out,
    print_json,
    reporting,
    say,
)
from core.cli.options import (
    Device,
    EncoderName,
    GalleryFolder,
    JsonFlag,
    app,
    encoder_of,
)
from core.config import LEAST_KEPT, PAIRED_KINDS, HeadConfig, HeadKind, PairedKind
from core.encoders.files import features_of
from core.encoders.load import load_encoder
from core.gallery.source import Source
from core.search.prepare import fitted_head
from core.service.pairs import known_pairs, paired_head
from core.service.session import Session
from core.training.config import GENERATIVE, RegulariseConfig, TrainConfig, TuneConfig, ViewConfig
from core.values import (
    Encoder,
    EncoderError,
    GalleryError,
    Progress,
)

AnyKind = Literal[HeadKind, PairedKind]

NEEDS_TRAINING = "training needs more packages: pip install -r requirements-train.txt"


@app.command("fit-head")
def fit_head(
    gallery: GalleryFolder,
    *,
    encoder: EncoderName = None,
    kind: Annotated[AnyKind, typer.Option(help="What the head does.")],
    k: Annotated[int, typer.Option(help="Embedding dimensions.")] = HeadConfig().k,
    shrinkage: Annotated[
        float | None,
        typer.Option(
            help="Weight of the mean variance, from 0 to below 1; of --pairs that of changing "
            f"nothing, for ridge from {LEAST_KEPT:g}."
        ),
    ] = None,
    pairs: Annotated[
        Path | None,
        typer.Option(help="Known pairs, for the kinds ridge and infonce; see docs/data.md."),
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
    """Fit a head on a gallery's features without labels, or behind one to pairs that are known."""
    if (kind in PAIRED_KINDS) != (pairs is not None):
        names = " and ".join(PAIRED_KINDS)
        raise typer.BadParameter(f"--pairs FILE and the kinds {names} are used together")
    if pairs is not None and (per_domain or synthetic is not None):
        raise typer.BadParameter("--pairs knows no domains: leave --per-domain out")
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
        chosen = load_encoder(encoder_of(session, str(gallery), named=encoder))
        if pairs is not None:
            known = known_pairs(opened, pairs, progress=progress)
            how = {"folder": pairs.parent, "config": config, "progress": progress}
            fitted = paired_head(opened, chosen, known, **how)
            exemplars = len({row for _, row in known})
            say(f"{len(known)} pairs have one of {exemplars} images of the gallery as exemplar")
        else:
            made = None if synthetic is None else _features(chosen, synthetic, progress)
            fitted = fitted_head(opened, chosen, config=config, synthetic=made, progress=progress)
        fitted.save(out)
    if json:
        print_json({"name": fitted.name, "identity": fitted.identity, "out": str(out)})
    say(f"{fitted.name} with identity {fitted.identity} is in {out}")


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
            raise EncoderError(NEEDS_TRAINING) from error
        done = train_encoder(config, folders, out=out, size=size, pairs=pairs, progress=progress)
    if not first:
        return
    if json:
        print_json({"method": method, "out": str(out), "complete": done})
    state = "complete" if done else "stopped; the same command goes on with it"
    say(f"{method} in {out}: {state}")


def _features(encoder: Encoder, folder: Path, progress: Progress) -> Float[np.ndarray, "m f"]:
    """Features of the images below a folder that can be read, as of a gallery; others are named."""
    files = list(Source(folder).look().files.values())
    found = features_of(encoder, files, progress=progress)
    for path, reason in found.refused.items():
        left_out(path.relative_to(folder).as_posix(), reason)
    if not len(found.features):
        raise GalleryError(f"there is no image that can be read in {folder.name!r}")
    return found.features
