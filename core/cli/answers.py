"""Commands that ask galleries: of images, of sources, of known pairs."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import typer

from core.cli import console
from core.cli.console import (
    print_json,
    reporting,
    say,
)
from core.cli.options import (
    BUNDLED,
    EncoderName,
    EncoderNames,
    GalleryFolder,
    JsonFlag,
    Reports,
    app,
    encoder_of,
)
from core.config import (
    NullConfig,
    ScoreConfig,
)
from core.encoders.load import load_encoder
from core.explain.projection import place
from core.images.listing import list_images
from core.measures.evaluate import Bench, Evaluation
from core.measures.variations.ways import WAYS
from core.report.cases import attribute_command, case_of, run_of, without_images
from core.report.files import write_report
from core.report.objects import answer_object
from core.report.trials import trial_object
from core.service.reverse import adjust_known, reverse_lookup
from core.service.selftest import Trial, selftest
from core.service.session import (
    Choice,
    Session,
    choose_head,
)
from core.service.workspace import Query, Workspace
from core.values import (
    GalleryError,
    ImageError,
    Progress,
)


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
        choice = Choice(encoder or encoder_of(session, gallery), head, gallery, score)
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
        name = encoder or encoder_of(session, gallery)
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


@app.command("selftest")
def test_itself(
    images: Annotated[list[Path], typer.Argument(help="Images of your own.")],
    *,
    gallery: Annotated[str, typer.Option(help="Folder of a gallery.")] = "builtin",
    way: Annotated[
        list[str] | None, typer.Option(help="How variations are made; may be repeated.")
    ] = None,
    far: Annotated[float, typer.Option(help="How far they go, from 0 to 1.")] = 0.5,
    seed: Annotated[int, typer.Option(help="Seed of the variations.")] = 0,
    encoder: EncoderName = None,
    head: Annotated[str, typer.Option(help="`default`, a kind, or a folder.")] = "default",
    json: JsonFlag = False,
) -> None:
    """Make variations of images and trace them, with the images in the gallery and without."""
    ways = way or list(WAYS)
    if unknown := set(ways) - set(WAYS):
        raise typer.BadParameter(f"there is no way {min(unknown)!r}; there are: {', '.join(WAYS)}")
    if not 0 <= far <= 1:
        raise typer.BadParameter(f"--far must lie between 0 and 1, got {far}")
    session, trials = Session(), list[tuple[str, Trial]]()
    with reporting() as progress:
        choice = Choice(encoder or encoder_of(session, gallery), head, gallery)
        for place, path in enumerate(images):
            test = selftest(session, path, choice, name=path.name, progress=progress)
            trials += [
                (str(path), test.run(each, far=far, seed=seed + place, progress=progress))
                for each in ways
            ]
    if json:
        print_json([trial_object(name, trial) for name, trial in trials])
        return
    console.print_trials(trials)


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
        name = encoder or encoder_of(session, str(gallery))
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
