"""Commands that ask galleries: of images, of sources, of known pairs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from core.cli import results
from core.cli.console import (
    each_image,
    fail_if,
    left_out,
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
    AnswerConfig,
    ScoreConfig,
)
from core.encoders.load import load_encoder
from core.explain.projection import place
from core.gallery.source import Source
from core.images.files import cache_home
from core.images.listing import list_images
from core.measures.evaluate import Bench, Evaluation
from core.measures.variations.ways import WAYS
from core.report.cases import Case, attribute_command, case_of, run_of, without_images
from core.report.files import write_report
from core.report.objects import answer_object, finding_object
from core.report.trials import trial_object
from core.service.choice import Choice
from core.service.heads import choose_head
from core.service.reverse import adjust_known, reverse_lookup
from core.service.selftest import Trial, selftest
from core.service.session import Session
from core.service.workspace import Query, Workspace
from core.values import (
    Answer,
    GalleryError,
    ImageError,
    Progress,
    ScorePart,
)

_VIEWS = [view.name for view in ScoreConfig().views]


def _views(names: list[str] | None) -> list[str]:
    """Names of views beside the embedding, each of which there is."""
    if unknown := {*(names or ())} - {*_VIEWS}:
        raise typer.BadParameter(f"no view {min(unknown)!r}; there are {', '.join(_VIEWS)}")
    return names or []


LeaveOut = Annotated[
    list[str] | None,
    typer.Option(
        help=f"Do not compare by {', '.join(_VIEWS)}; may be repeated.",
        callback=_views,
    ),
]


@dataclass(frozen=True)
class _Answered:
    """An image with its answer, and its case where a report is written."""

    answer: Answer
    shares: dict[str, dict[str, float]] | None
    score_parts: Mapping[int, Sequence[ScorePart]] | None = None
    case: Case | None = None
    p_adjusted: float | None = None


_Found = Sequence[tuple[Path, _Answered | ImageError]]


@app.command()
def attribute(
    images: Annotated[list[Path], typer.Argument(help="Images to find the sources of.")],
    *,
    gallery: Annotated[str, typer.Option(help="Folder of a gallery.")] = "builtin",
    encoder: EncoderName = None,
    head: Annotated[str, typer.Option(help="`default`, a kind, or a folder.")] = "default",
    leave_out: LeaveOut = None,
    local_scaling: Annotated[bool, typer.Option(help="Local scaling (CSLS).")] = True,
    search: Annotated[
        Literal["auto", "exact", "hnsw"],
        typer.Option(help="Compare with all images, or walk a graph that may miss some."),
    ] = "auto",
    top: Annotated[int, typer.Option(min=1, help="Matches to print.")] = 10,
    prior: Annotated[
        float, typer.Option(help="Probability of a source before the image is seen.")
    ] = AnswerConfig().prior,
    where: Annotated[
        str | None, typer.Option(help='Only images like this: "licence = CC0 and creator != Ann".')
    ] = None,
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
    score = ScoreConfig(search=search, local_scaling=local_scaling).without(*(leave_out or ()))
    with reporting() as progress:
        choice = Choice(encoder_of(session, gallery, named=encoder), head, gallery, score, where)

        def answered(path: Path) -> _Answered:
            answer = session.attribute(path, choice, top=top, prior=prior, progress=progress)
            shares = session.shares(answer, choice, columns=by) if by else None
            parts = session.score_parts(path, answer, choice) if json else None
            if not report:
                return _Answered(answer, shares, parts)
            case = case_of(session, path, answer=answer, choice=choice, progress=progress)
            return _Answered(answer, shares, parts, case if report_images else without_images(case))

        found = _adjusted(each_image(images, answered))
        refused = {str(path): str(why) for path, why in found if isinstance(why, ImageError)}
        cases = [each.case for _, each in found if not isinstance(each, ImageError) and each.case]
        if report and cases:
            named = [case.query for case in cases]
            command = attribute_command(named, choice, top=top, prior=prior)
            run = run_of(session.workspace(choice, progress=progress), command, prior=prior)
            for path in report:
                write_report(path, cases, replace(run, refused=refused))
    if json:
        objects = [_object(path, each) for path, each in found]
        print_json(objects[0] if len(objects) == 1 else objects)
    else:
        _print(found)
    fail_if(refused)


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
    session, unread = Session(), dict[str, str]()
    with reporting() as progress:
        name = encoder_of(session, gallery, named=encoder)
        workspace = session.workspace(Choice(name, head, gallery), progress=progress)
        taken = each_image(
            upload or [], lambda path: session.query(workspace, path), others=bool(source)
        )
        uploads = {str(path): each for path, each in taken if not isinstance(each, ImageError)}
        refused = {str(path): str(why) for path, why in taken if isinstance(why, ImageError)}
        if refused and not (source or uploads):
            raise ImageError("none of the uploads can be taken as an image")
        found = reverse_lookup(
            workspace,
            _queries(session, workspace, list_images(folder), unread, progress),
            ids=source or [],
            uploads=uploads,
            rate=fdr,
        )
    if json:
        errors = [{"path": path, "error": why} for path, why in {**refused, **unread}.items()]
        pairs = [finding_object(finding) for finding in found]
        print_json({"fdr": fdr, "pairs": pairs, **({"refused": errors} if errors else {})})
    else:
        results.print_findings(found, rate=fdr)
    fail_if(refused)


@app.command()
def evaluate(
    *,
    pairs: Annotated[Path, typer.Option(help="JSON list of generated images and exemplars.")],
    gallery: Annotated[Path, typer.Option(help="Folder of images, or a gallery.")],
    encoder: EncoderNames = None,
    head: Annotated[list[str] | None, typer.Option(help="Head; may be repeated.")] = None,
    split: Annotated[Literal["tune", "untouched", "all"], typer.Option()] = "all",
    leave_out: LeaveOut = None,
    local_scaling: Annotated[bool, typer.Option(help="Local scaling (CSLS).")] = True,
    without: Annotated[
        Path | None, typer.Option(help="Folder of images without a source, which lower uAP.")
    ] = None,
    json: Annotated[Path | None, typer.Option(help="File for all results.")] = None,
) -> None:
    """Rank known pairs; recall, precision, uAP and paired differences with clustered intervals."""
    score = ScoreConfig(local_scaling=local_scaling).without(*(leave_out or ()))
    with reporting() as progress:
        loaded = [load_encoder(name) for name in encoder or BUNDLED]
        bench = Bench(pairs, gallery, loaded, cache=cache_home(), progress=progress)
        if without is not None:
            known = bench.ask_without(Source(without, prune=True), progress=progress)
            for path, why in known.items():
                left_out(path, why)
            say(f"{len(bench.alone):,} images without a source are asked beside the pairs")
        chosen = tuple(p for p in bench.all_pairs if split in ("all", p.half))
        if not chosen:
            raise GalleryError(f"no pair of {pairs.name} is in the half {split!r}")
        for path, why in bench.unread.items():
            left_out(path, why)
        columns, measures, pools = {}, {}, {}
        for network in loaded:
            for name in head or ["default"]:
                fitted = choose_head(bench.gallery, network, name, progress=progress)
                column = f"{network.name}/{name}"
                columns[column], pools[column] = bench.run(
                    network, fitted, pairs=chosen, score=score, progress=progress
                )
                measures[column] = bench.measures(network, fitted, pairs=chosen)
    found = Evaluation(chosen, bench.size, columns, measures, pools)
    results.print_evaluation(found, split=split)
    if json is not None:
        with reporting():
            results.write_evaluation(found, json, split=split)
    fail_if(bench.unread)


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
        choice = Choice(encoder_of(session, gallery, named=encoder), head, gallery)
        places = {path: place for place, path in reversed([*enumerate(images)])}

        def tried(path: Path) -> list[Trial]:
            test = selftest(session, path, choice, name=path.name, progress=progress)
            place = seed + places[path]
            return [test.run(each, far=far, seed=place, progress=progress) for each in ways]

        found = each_image(images, tried)
    objects: list[dict[str, object]] = []
    for path, made in found:
        if isinstance(made, ImageError):
            objects.append({"query": str(path), "error": str(made)})
            continue
        trials += [(str(path), trial) for trial in made]
        objects += [trial_object(str(path), trial) for trial in made]
    if json:
        print_json(objects)
    elif trials:
        results.print_trials(trials)
    fail_if(len(objects) > len(trials))


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
        name = encoder_of(session, str(gallery), named=encoder)
        workspace = session.workspace(Choice(name, head, str(gallery)), progress=progress)
        layout = workspace.layout(progress=progress)
        found = each_image(
            image or [],
            lambda path: place(layout, session.query(workspace, path).embedding[None])[0].tolist(),
        )
    points = zip(workspace.gallery.records, layout.points.tolist(), strict=True)
    print_json(
        {
            "points": [{"id": record.id, "path": record.path, "xy": xy} for record, xy in points],
            "placed": [
                {"path": str(path), "error": str(xy)}
                if isinstance(xy, ImageError)
                else {"path": str(path), "xy": xy}
                for path, xy in found
            ],
        }
    )
    fail_if(any(isinstance(xy, ImageError) for _, xy in found))


def _queries(
    session: Session,
    workspace: Workspace,
    paths: Sequence[Path],
    unread: dict[str, str],
    progress: Progress,
) -> Iterator[tuple[str, Query]]:
    """Queries of the images that can be read; the others are named, left out and noted."""
    for done, path in enumerate(paths, 1):
        try:
            yield str(path), session.query(workspace, path)
        except ImageError as error:
            left_out(str(path), error)
            unread[str(path)] = str(error)
        progress(done, len(paths), "looking at generated images")


def _adjusted(found: _Found) -> _Found:
    """The answers with their p-values adjusted for their number, where several were asked."""
    if len(found) == 1:
        return found
    answered = [each for _, each in found if not isinstance(each, ImageError)]
    values = iter(adjust_known([each.answer.p_value for each in answered]))
    return [
        (path, each if isinstance(each, ImageError) else _with_p(each, next(values)))
        for path, each in found
    ]


def _with_p(each: _Answered, p: float | None) -> _Answered:
    case = each.case and replace(each.case, p_adjusted=p)
    return replace(each, p_adjusted=p, case=case)


def _print(found: _Found) -> None:
    for path, each in found:
        if not isinstance(each, ImageError):
            p = each.p_adjusted
            results.print_answer(str(path), each.answer, p_adjusted=p, shares=each.shares)


def _object(path: Path, each: _Answered | ImageError) -> dict[str, object]:
    if isinstance(each, ImageError):
        return {"query": str(path), "error": str(each)}
    return answer_object(
        str(path),
        each.answer,
        p_adjusted=each.p_adjusted,
        shares=each.shares,
        score_parts=each.score_parts,
    )
