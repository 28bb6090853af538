"""What every tab shares: the page it stands on, errors for people, progress, thumbnails."""

from __future__ import annotations

import contextlib
from abc import ABCMeta
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import gradio as gr
from gradio.components import Component
from gradio.data_classes import ImageData
from gradio.events import Dependency
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder, is_in_or_equal, is_static_file

from app import views
from core.gallery.examples import read_examples
from core.service.session import DEFAULT_ENCODER, Session, encoder_infos
from core.values import (
    GalleryError,
    ImageRecord,
    Progress,
    WellspringError,
)

HEADS = [
    ("Default for the encoder", "default"),
    ("Whitened", "whiten"),
    ("Independent components", "infomax"),
    ("Centred", "center"),
    ("None", "identity"),
]
"""Heads that can be chosen: label and name."""

FIRST_TAB = "attribute"
"""The tab that is open where the address names none."""

Pictures = list[tuple[str, str]]
"""Files and captions."""

_EXAMPLES = 12
_T = TypeVar("_T")
_C = TypeVar("_C", bound=Component)


class Asked(NamedTuple):
    """The image that is asked about, and with what."""

    image: str | None
    encoder: str


@dataclass(frozen=True)
class Page:
    """What the tabs of one page have in common."""

    session: Session
    gallery: gr.State
    """Name of the gallery that is looked at; the tabs follow its changes."""
    start: str
    """The gallery's name when the page opens."""
    encoders: tuple[str, ...]
    """Encoders of that gallery."""
    encoder: str
    """The encoder chosen at first."""
    example: gr.Number
    """Place of the example that is the query, counted from 1; 0 for none. The address follows."""
    asked: gr.State
    """What was asked last in any tab, as :class:`Asked`; ``None`` before."""
    tab: gr.State
    """Name of the tab that is open."""
    linked: list[gr.Dropdown] = field(default_factory=list[gr.Dropdown])
    """Choices of an encoder that the page's address sets and follows."""


def open_page(session: Session, *, gallery: str, encoder: str | None) -> Page:
    """The page over a gallery, inside the current Blocks.

    Args:
        session: opens encoders and galleries.
        gallery: ``embedded`` or, when not hosted, a folder.
        encoder: the encoder chosen at first; the program's default where the gallery has it.

    Raises:
        GalleryError: when the gallery cannot be opened, or has no features of the encoder.
    """
    encoders = tuple(session.gallery(gallery).encoder_names)
    if not session.server.hosted or gallery == "embedded":
        serve_thumbnails(session, gallery)
    return Page(
        session=session,
        gallery=gr.State(gallery),
        start=gallery,
        encoders=encoders,
        encoder=first_encoder(encoders, encoder),
        example=gr.Number(0, precision=0, visible=False),
        asked=gr.State(None),
        tab=gr.State(FIRST_TAB),
    )


def first_encoder(encoders: Sequence[str], wanted: str | None = None) -> str:
    """The encoder chosen at first: the wanted one, the program's default, or any.

    Raises:
        GalleryError: when the wanted one is not among them.
    """
    if wanted is None:
        wanted = DEFAULT_ENCODER if DEFAULT_ENCODER in encoders else next(iter(encoders), "any")
    if wanted not in encoders:
        have = ", ".join(encoders) or "none"
        raise GalleryError(f"the gallery has no features of encoder {wanted!r}; it has: {have}")
    return wanted


def serve_thumbnails(session: Session, gallery: str) -> None:
    """Let a gallery's thumbnails and examples be fetched as they lie; never a visitor's own."""
    folder = session.gallery(gallery).store.folder
    for served in (folder / "thumbnails", folder / "queries"):
        if served.is_dir() and not is_static_file(served):
            gr.set_static_paths([served])


def share(
    page: Page, name: str, image: gr.Image, encoder: gr.Dropdown, *, beside: gr.Dropdown | None
) -> gr.State:
    """Ask about one image in every tab: tell the others of this tab's, take theirs when it is open.

    Args:
        page: the page.
        name: the tab.
        image: its query.
        encoder: what it is asked with.
        beside: a second encoder; it changes places where it would be the same.

    Returns:
        A state that changes when an image was taken over: connect the tab's work to its ``change``.
    """

    def take(given: dict[Any, Any], request: gr.Request) -> list[Any]:
        asked: Asked | None = given[page.asked]
        if given[page.tab] != name or asked is None or asked[0] == given[image]:
            return [gr.skip() for _ in taken]
        with spoken():
            gallery = page.session.gallery(given[page.gallery], visitor=visitor_of(request))
        old = given[encoder]
        coder = asked[1] if asked[1] in gallery.encoder_names else old
        others = [old if given[other] == coder else given[other] for other in taken[3:]]
        return [asked[0], given[count] + 1, coder, *others]

    quiet: dict[str, Any] = {"api_visibility": "private", "show_progress": "hidden"}
    count = gr.State(0)
    taken: list[Any] = [image, count, encoder, *([] if beside is None else [beside])]
    for told in (image.change, encoder.input):
        told(Asked, [image, encoder], page.asked, **quiet)
    for told in (image.upload, image.clear):
        told(lambda: 0, None, page.example, **quiet)
    gr.on(
        [page.tab.change, page.asked.change],
        take,
        {page.tab, page.asked, page.gallery, *taken},
        taken,
        trigger_mode="always_last",
        **quiet,
    )
    return count


def example_pictures(session: Session, gallery_name: str, *, visitor: str = "") -> Pictures:
    """A dozen images to start from: the gallery's examples, or images of its own without them."""
    gallery = session.gallery(gallery_name, visitor=visitor)
    examples = read_examples(gallery.store.folder)
    if examples:
        shown = _spread(examples)
        return [
            (str(example.file), f"Example {i}: {example.kind.replace('-', ' ')}")
            for i, example in enumerate(shown, 1)
        ]
    return pictures(session, gallery_name, _spread(gallery.records), visitor=visitor)


def _spread(items: Sequence[_T]) -> Sequence[_T]:
    """At most a dozen, evenly over all."""
    return items[:: max(len(items) // _EXAMPLES, 1)][:_EXAMPLES]


def encoder_choices(names: Sequence[str]) -> list[tuple[str, str]]:
    """Title and name of encoders, for a dropdown."""
    titles = {info.name: info.title for info in encoder_infos()}
    return [(titles.get(name, name), name) for name in names]


def encoder_dropdown(
    page: Page, *, label: str = "Encoder", value: str | None = None, linked: bool = True
) -> tuple[gr.Dropdown, Dependency]:
    """A choice among the encoders of the gallery that is looked at, and the event of its renewal.

    Args:
        page: the page.
        label: what it is called.
        value: the encoder chosen at first; the page's where it is not given.
        linked: whether the page's address names its value.

    Returns:
        The component, and the event after which it has the encoders of another gallery:
        connect what clears or repeats the tab's work to its ``success``.
    """

    def renew(name: str, encoder: str, request: gr.Request) -> gr.Dropdown:
        with spoken():
            found = page.session.gallery(name, visitor=visitor_of(request)).encoder_names
        kept = encoder if encoder in found else first_encoder(found)
        return gr.Dropdown(encoder_choices(found), value=kept)

    chosen = gr.Dropdown(
        encoder_choices(page.encoders), value=value or page.encoder, label=label, filterable=False
    )
    if linked:
        page.linked.append(chosen)
    renewed = page.gallery.change(
        renew, [page.gallery, chosen], chosen, api_visibility="private", show_progress="hidden"
    )
    return chosen, renewed


def pictures(
    session: Session, gallery_name: str, records: Sequence[ImageRecord], *, visitor: str = ""
) -> Pictures:
    """Thumbnail files and names of gallery images."""
    gallery = session.gallery(gallery_name, visitor=visitor)
    files = map(str, session.thumbnails(gallery, records))
    return list(zip(files, map(views.name_of, records), strict=True))


def visitor_of(request: gr.Request | None) -> str:
    """Who asks, as the session knows visitors; a server of one's own does not look at it."""
    return (request.session_hash if request is not None else None) or ""


def thumbnails(
    label: str, *, columns: int, elem_id: str, value: Pictures | None = None
) -> gr.Gallery:
    """A gallery of thumbnails that are chosen by a click or a key."""
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


def image_given(
    label: str, *, elem_id: str, placeholder: str, height: int, show_label: bool = False
) -> gr.Image:
    """An image of the visitor's own: dropped, chosen or pasted."""
    image = gr.Image(
        type="filepath",
        sources=["upload", "clipboard"],
        label=label,
        show_label=show_label,
        placeholder=placeholder,
        height=height,
        buttons=[],
        alt_text="The image that was given",
        elem_id=elem_id,
    )
    return taken_as(image, unopened)


def taken_as(component: _C, preprocess: Callable[[Any], Any]) -> _C:
    """The component with another ``preprocess``: ours judge files, where Gradio's would open them.

    Gradio makes a component anew from its class whenever a handler updates it, so an attribute of
    the instance would be lost. Its metaclass writes a stub file beside every subclass, which is of
    no use here, and is passed over.
    """
    kind = type(component)
    own = {"preprocess": staticmethod(preprocess), "__module__": __name__}
    component.__class__ = ABCMeta.__new__(type(kind), kind.__name__, (kind,), own)
    return component


def query_given(page: Page, *, image_id: str, examples_id: str) -> tuple[gr.Image, gr.Gallery]:
    """The image to be asked about, and the examples to start from."""
    words = "Drop an image here\nor click to choose one"
    image = image_given("Image", elem_id=image_id, placeholder=words, height=300)
    examples = thumbnails(
        "Or start from one of these",
        columns=6,
        elem_id=examples_id,
        value=example_pictures(page.session, page.start),
    )
    return image, examples


def require(image: str | None, *, top: int = 1) -> None:
    """Refuse a call of an endpoint without an image, or for a number of matches out of range.

    Raises:
        gr.Error: in words for the caller.
    """
    if not image:
        raise gr.Error("no image was given; send an image file", print_exception=False)
    if not 1 <= top <= 200:
        raise gr.Error(f"top must be in 1..200, got {top}", print_exception=False)


@contextlib.contextmanager
def spoken() -> Iterator[None]:
    """Errors written for people, shown to them."""
    try:
        yield
    except WellspringError as error:
        raise gr.Error(str(error), title="That did not work", print_exception=False) from error


def reported(progress: gr.Progress) -> Progress:
    """The core's progress, shown on the page."""

    def report(done: int, total: int, what: str) -> None:
        progress((done, total) if total > 1 else None, desc=what)

    return report


def unopened(payload: ImageData | None) -> str | None:
    """Path of an uploaded file as it came, so that the core is the first to judge it.

    The ``preprocess`` of an image component: see :func:`taken_as`.

    Raises:
        gr.Error: when it names any other file of the server.
    """
    return None if payload is None else uploaded(payload.path or "")


def uploaded(path: str) -> str:
    """The path, if it is of an upload or of a file that is served anyway.

    Raises:
        gr.Error: when it names any other file of the server.
    """
    if not (is_in_or_equal(path, get_upload_folder()) or is_static_file(path)):
        raise gr.Error("this file was not uploaded; send the image itself", print_exception=False)
    return path


def downloadable(content: bytes, button: gr.DownloadButton, *, name: str) -> str:
    """A file for a download button, which removes it with the other files of its time."""
    path = save_bytes_to_cache(content, Path(name).name, button.GRADIO_CACHE)
    button.temp_files.add(path)
    return path
