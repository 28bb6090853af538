"""The Attribute tab: an image in; the answer, its candidate sources and their reasons out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import gradio as gr
from gradio.data_classes import ImageData
from gradio.utils import get_upload_folder, is_in_or_equal, is_static_file
from PIL import Image

from app import views
from core.config import ScoreConfig
from core.report import answer_object
from core.session import DEFAULT_ENCODER, Choice, Session, encoder_infos
from core.values import Answer, Explanation, GalleryError, ImageRecord, Progress, WellspringError

HEADS = [
    ("Default for the encoder", "default"),
    ("Whitened", "whiten"),
    ("Independent components", "infomax"),
    ("Centred", "center"),
    ("None", "identity"),
]
"""Heads that can be chosen: label and name."""

LOCAL_SCALING, RERANKING = "Local scaling", "Re-ranking by patches"

Pictures = list[tuple[str, str]]
"""Files and captions."""

_CANDIDATES = 24
_EXCITING = 6
_EXAMPLES = 6
_PROGRESS = gr.Progress()


def unopened(payload: ImageData | None) -> str | None:
    """Path of an uploaded file as it came, so that the core is the first to judge it.

    Raises:
        gr.Error: when it names any other file of the server.
    """
    if payload is None:
        return None
    path = payload.path or ""
    if not (is_in_or_equal(path, get_upload_folder()) or is_static_file(path)):
        raise gr.Error("this file was not uploaded; send the image itself", print_exception=False)
    return path


@dataclass(frozen=True)
class Search:
    """A finished search: what later events need of it."""

    image: str
    choice: Choice
    answer: Answer


@contextlib.contextmanager
def spoken() -> Iterator[None]:
    """Errors written for people, shown to them."""
    try:
        yield
    except WellspringError as error:
        raise gr.Error(str(error), title="That did not work", print_exception=False) from error


def _reported(progress: gr.Progress) -> Progress:
    """The core's progress, shown on the page."""

    def report(done: int, total: int, what: str) -> None:
        progress((done, total), desc=what)

    return report


class Desk:
    """The handlers of one page: each calls the session, makes a view and returns it."""

    def __init__(self, session: Session, gallery: str) -> None:
        self.session, self.name = session, gallery
        opened = session.gallery(gallery)
        self.size, self.encoders = len(opened), opened.encoder_names
        self.thumbnails = opened.store.folder / "thumbnails"
        step = max(self.size // _EXAMPLES, 1)
        self.examples = self._pictures(opened.records[::step][:_EXAMPLES])

    def search(
        self,
        image: str | None,
        encoder: str,
        head: str,
        scoring: list[str],
        progress: gr.Progress = _PROGRESS,
    ) -> tuple[Any, ...]:
        """Answer a query: search, chosen match, answer, candidates, whether there are any."""
        if image is None:
            return self.cleared()
        report = _reported(progress)
        report(0, 1, "Opening the encoder and the gallery")
        choice = self._choice(encoder, head, scoring)
        with spoken():
            answer = self.session.attribute(image, choice, top=_CANDIDATES, progress=report)
        candidates = gr.Gallery(self._candidates(answer), selected_index=0)
        shown = views.answer_html(answer, size=self.size)
        return Search(image, choice, answer), 0, shown, candidates, gr.Column(visible=True)

    def cleared(self) -> tuple[Any, ...]:
        """What :meth:`search` returns where there is nothing to show."""
        nothing = gr.Gallery(None, selected_index=None)
        return None, 0, views.empty_html(size=self.size), nothing, gr.Column(visible=False)

    def refused(self, image: str | None) -> tuple[Any, ...]:
        """After a failure: nothing to show, and an image that cannot be opened goes too."""
        kept = gr.skip()
        try:
            self.session.image(image or "")
        except WellspringError:
            kept = None
        return kept, *self.cleared()

    def explain(self, search: Search | None, index: int, reading: str | None) -> tuple[Any, ...]:
        """Why the chosen match is one."""
        if search is None:
            return tuple(gr.skip() for _ in range(7))
        image_id = search.answer.matches[index].image.id
        with spoken():
            found = self.session.explain(search.image, image_id, search.choice)
            possible = views.readings(found)
            several = len(possible) > 1
            chosen = reading if reading in possible else possible[0]
            pair = views.pair_html(found, self._images(search, found), reading=chosen)
        dimensions = views.dimension_choices(found)
        first = dimensions[0][1] if dimensions else None
        return (
            found,
            pair,
            gr.Radio(possible, value=chosen if several else None, visible=several),
            views.record_html(found.match),
            views.contribution_words(found),
            views.contribution_bars(found),
            gr.Dropdown(choices=dimensions, value=first),
        )

    def look(self, search: Search | None, found: Explanation | None, reading: str) -> Any:
        """The two images under another reading."""
        if search is None or found is None:
            return gr.skip()
        with spoken():
            return views.pair_html(found, self._images(search, found), reading=reading)

    def excite(self, search: Search | None, dimension: int | None) -> tuple[Any, Any]:
        """The gallery images at both ends of a dimension."""
        if search is None or dimension is None:
            return gr.skip(), gr.skip()
        with spoken():
            workspace = self.session.workspace(search.choice)
            ends = workspace.exciting(dimension, count=_EXCITING)
        most, least = (self._pictures(end) for end in ends)
        return most, least

    def example(self, event: gr.SelectData) -> tuple[Any, Any]:
        """The example that was selected, as the query; it can be selected again."""
        return self.examples[int(event.index)][0], gr.Gallery(selected_index=None)

    def attribute(self, image: str, encoder: str, head: str, top: int) -> dict[str, object]:
        """Candidate sources of an image among the images of the gallery.

        Args:
            image: the image file; JPEG, PNG, WebP, GIF, BMP or TIFF.
            encoder: name of an encoder that the gallery has features of.
            head: default, whiten, infomax, center or identity.
            top: number of matches, 1 to 200.

        Returns:
            The query's file name, the answer in one sentence, matches (best first: id, file,
            score, cosine, group), groups (p_value, confidence, influence), none (the share
            ascribed to no image of the gallery), p_value, and the identities of what was used.
            The object is that of ``attribute --json``, but for ``file``, which is ``path`` there.
        """
        if not image:
            raise gr.Error("no image was given; send an image file", print_exception=False)
        if not 1 <= top <= 200:
            raise gr.Error(f"top must be in 1..200, got {top}", print_exception=False)
        choice = Choice(encoder, head, self.name)
        with spoken():
            answer = self.session.attribute(image, choice, top=top)
        return _for_clients(answer_object(Path(image).name, answer))

    def _choice(self, encoder: str, head: str, scoring: list[str]) -> Choice:
        score = ScoreConfig(local_scaling=LOCAL_SCALING in scoring, rerank=RERANKING in scoring)
        return Choice(encoder, head, self.name, score)

    def _candidates(self, answer: Answer) -> Pictures:
        records = [match.image for match in answer.matches]
        files = [file for file, _ in self._pictures(records)]
        return list(zip(files, views.captions(answer), strict=True))

    def _pictures(self, records: Sequence[ImageRecord]) -> Pictures:
        gallery = self.session.gallery(self.name)
        files = map(str, self.session.thumbnails(gallery, records))
        return list(zip(files, map(views.name_of, records), strict=True))

    def _images(self, search: Search, found: Explanation) -> tuple[Image.Image, Image.Image]:
        gallery = self.session.gallery(search.choice.gallery)
        return (
            self.session.image(search.image),
            self.session.source_image(gallery, found.match.id),
        )


def _for_clients(found: dict[str, object]) -> dict[str, object]:
    """An answer without keys called ``path``: Gradio's clients take those for files to fetch."""
    matches = cast("list[dict[str, object]]", found["matches"])
    renamed = [{"file" if k == "path" else k: v for k, v in match.items()} for match in matches]
    return {**found, "matches": renamed}


def chosen(event: gr.SelectData) -> int:
    """Place of the candidate that was selected."""
    return int(event.index)


@dataclass(frozen=True)
class _Query:
    """Components of the query and its controls."""

    image: gr.Image
    examples: gr.Gallery
    encoder: gr.Dropdown
    head: gr.Dropdown
    scoring: gr.CheckboxGroup


@dataclass(frozen=True)
class _Result:
    """Components of the answer and of the chosen source."""

    answer: gr.HTML
    column: gr.Column
    candidates: gr.Gallery
    reading: gr.Radio
    pair: gr.HTML
    record: gr.HTML
    words: gr.Markdown
    bars: gr.Plot
    dimension: gr.Dropdown
    most: gr.Gallery
    least: gr.Gallery


def create(session: Session, *, gallery: str, encoder: str | None) -> None:
    """Lay out the tab inside the current Blocks and connect its events.

    Raises:
        GalleryError: when the gallery cannot be opened, or has no features of the encoder.
    """
    desk = Desk(session, gallery)
    first = _first(desk.encoders, encoder)
    gr.set_static_paths([desk.thumbnails])
    with gr.Row(elem_classes="ws-desk"):
        with gr.Column(scale=3, min_width=300, elem_classes="ws-side"):
            query = _query(desk, first)
        with gr.Column(scale=8, min_width=320):
            result = _result(desk)
    _connect(desk, query, result)
    _publish(desk, query)


def _first(encoders: Sequence[str], wanted: str | None) -> str:
    """The encoder chosen at first: the wanted one, the program's default, or any."""
    if wanted is None:
        wanted = DEFAULT_ENCODER if DEFAULT_ENCODER in encoders else next(iter(encoders), "any")
    if wanted not in encoders:
        have = ", ".join(encoders) or "none"
        raise GalleryError(f"the gallery has no features of encoder {wanted!r}; it has: {have}")
    return wanted


def _query(desk: Desk, encoder: str) -> _Query:
    image = gr.Image(
        type="filepath",
        sources=["upload", "clipboard"],
        label="Image",
        show_label=False,
        placeholder="Drop an image here\nor click to choose one",
        height=300,
        buttons=[],
        alt_text="The image that was given",
        elem_id="ws-query",
    )
    image.preprocess = unopened  # gr.Image opens the file, and its errors are not for people
    examples = _thumbnails(
        "Or start from one of these", columns=_EXAMPLES, elem_id="ws-examples", value=desk.examples
    )
    titles = {info.name: info.title for info in encoder_infos()}
    with gr.Group():
        encoders = [(titles.get(name, name), name) for name in desk.encoders]
        chosen_encoder = gr.Dropdown(encoders, value=encoder, label="Encoder", filterable=False)
        head = gr.Dropdown(HEADS, value="default", label="Head", filterable=False)
    with gr.Accordion("Scoring", open=False):
        scoring = gr.CheckboxGroup(
            [LOCAL_SCALING, RERANKING],
            value=[LOCAL_SCALING, RERANKING],
            show_label=False,
            container=False,
        )
    return _Query(image, examples, chosen_encoder, head, scoring)


def _result(desk: Desk) -> _Result:
    answer = gr.HTML(views.empty_html(size=desk.size), elem_id="ws-answer", min_height=180)
    with gr.Column(visible=False, elem_classes="ws-results") as column:
        gr.Markdown("### Candidate sources")
        candidates = _thumbnails("Candidate sources", columns=6, elem_id="ws-candidates")
        gr.Markdown("### Why this source")
        reading = gr.Radio(
            [], label="Heatmap", show_label=False, container=False, elem_id="ws-reading"
        )
        pair = gr.HTML(elem_id="ws-pair")
        with gr.Row(elem_classes="ws-reasons"):
            with gr.Column(scale=6, min_width=320):
                gr.Markdown("### Contributions")
                words = gr.Markdown(elem_classes="ws-note")
                bars = gr.Plot(show_label=False, container=False, elem_id="ws-bars")
            with gr.Column(scale=5, min_width=300):
                gr.Markdown("### About the source")
                record = gr.HTML(elem_id="ws-record")
        gr.Markdown("### What a dimension responds to")
        dimension = gr.Dropdown([], label="Dimension", filterable=False, elem_id="ws-dimension")
        with gr.Row():
            most = _thumbnails("Excite it most", columns=3, elem_id="ws-most")
            least = _thumbnails("Excite it least", columns=3, elem_id="ws-least")
    return _Result(
        answer, column, candidates, reading, pair, record, words, bars, dimension, most, least
    )


def _thumbnails(
    label: str, *, columns: int, elem_id: str, value: Pictures | None = None
) -> gr.Gallery:
    return gr.Gallery(
        value,
        label=label,
        columns=columns,
        height="auto",
        object_fit="cover",
        allow_preview=False,
        interactive=False,
        buttons=[],
        elem_id=elem_id,
        elem_classes="ws-thumbnails",
    )


def _connect(desk: Desk, query: _Query, result: _Result) -> None:
    search, index, found = gr.State(None), gr.State(0), gr.State(None)
    private: dict[str, Any] = {"api_visibility": "private"}
    quiet: dict[str, Any] = {**private, "show_progress": "hidden"}
    answered = [search, index, result.answer, result.candidates, result.column]
    explained = [
        found,
        result.pair,
        result.reading,
        result.record,
        result.words,
        result.bars,
        result.dimension,
    ]
    ask = {
        "fn": desk.search,
        "inputs": [query.image, query.encoder, query.head, query.scoring],
        "outputs": answered,
        "show_progress_on": result.answer,
        "concurrency_id": "encoder",
        **private,
    }
    why = {"fn": desk.explain, "inputs": [search, index, result.reading], "outputs": explained}
    ends = {
        "fn": desk.excite,
        "inputs": [search, result.dimension],
        "outputs": [result.most, result.least],
    }
    picture = query.image
    controls = [query.encoder.change, query.head.change, query.scoring.change]
    searched = gr.on([picture.upload, picture.clear, *controls], trigger_mode="always_last", **ask)
    example = query.examples.select(desk.example, None, [picture, query.examples], **quiet)
    for asked in (searched, example.success(**ask)):
        asked.failure(desk.refused, picture, [picture, *answered], **quiet)
        asked.success(**why, **quiet).success(**ends, **quiet)
    picked = result.candidates.select(chosen, None, index, **quiet)
    picked.success(**why, **quiet).success(**ends, **quiet)
    result.reading.input(desk.look, [search, found, result.reading], result.pair, **quiet)
    result.dimension.input(**ends, **quiet)


def _publish(desk: Desk, query: _Query) -> None:
    """The public endpoint; its components are never shown."""
    with gr.Group(visible=False):
        top = gr.Number(_CANDIDATES, precision=0, minimum=1, maximum=200, label="top")
        answer = gr.JSON(label="answer")
        gr.Button().click(
            desk.attribute,
            [query.image, query.encoder, query.head, top],
            answer,
            api_name="attribute",
            concurrency_id="encoder",
        )
