"""Images of a gallery as the page fetches them: thumbnails, and images to start from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache, save_file_to_cache
from gradio.utils import get_upload_folder, is_static_file

from app.views.names import name_of
from app.views.stated_sources import made_from
from core.service import Choice, Example, Session, read_examples
from core.values import ImageRecord, Progress, WellspringError

Pictures = list[tuple[str, str]]
"""Files and captions."""

_EXAMPLES = 12
_T = TypeVar("_T")


def serve_thumbnails(session: Session, gallery: str) -> None:
    """Let a gallery's thumbnails and examples be fetched as they lie; never a visitor's own."""
    folder = session.gallery(gallery).store.folder
    for served in (folder / "thumbnails", folder / "queries"):
        if served.is_dir() and not is_static_file(served):
            gr.set_static_paths([served])


def fetchable(shown: Path | bytes) -> str:
    """An image as the page can fetch it: its file itself where it is served, else a copy.

    Gradio itself copies no file from outside the working and the temporary directory. A small image
    is its own thumbnail and lies among images that are not served, wherever the gallery is. A file
    that is gone has a path at which nothing is found.
    """
    if isinstance(shown, bytes):
        return save_bytes_to_cache(shown, "thumbnail.webp", cache_dir=get_upload_folder())
    if is_static_file(shown):
        return str(shown)
    try:
        return save_file_to_cache(shown, cache_dir=get_upload_folder())
    except OSError:
        return str(Path(get_upload_folder(), "missing", shown.name))


def example_pictures(session: Session, gallery_name: str, *, visitor: str = "") -> Pictures:
    """A dozen images to start from: the gallery's examples, or images of its own without them."""
    gallery = session.gallery(gallery_name, visitor=visitor)
    examples = read_examples(gallery.store.folder)
    if examples:
        first = _starting_points(examples)
        rest = [each for each in examples if each not in first.values()]
        rest = _spread(rest, count=_EXAMPLES - len(first))
        named = [(example, name) for name, example in first.items()]
        named += [(example, f"Example: {example.kind.replace('-', ' ')}") for example in rest]
        return [
            (fetchable(example.file), f"{name}\n{made_from(example, gallery.records)}")
            for example, name in named
        ]
    return pictures(
        session, gallery_name, _spread(gallery.records, count=_EXAMPLES), visitor=visitor
    )


def example_picture(
    session: Session, gallery_name: str, number: int, *, visitor: str = ""
) -> str | None:
    """File of an image to start from, counted from 1; ``None`` where there is none.

    Raises:
        WellspringError: when the gallery cannot be opened.
    """
    shown = example_pictures(session, gallery_name, visitor=visitor)
    return shown[number - 1][0] if 0 < number <= len(shown) else None


def first_example(session: Session, gallery_name: str, *, visitor: str = "") -> str | None:
    """The first example, with which a page opens where nothing is asked.

    There is none in galleries without examples, nor where a GPU is lent: a visitor's share of it is
    the visitor's to spend.
    """
    try:
        folder = session.gallery(gallery_name, visitor=visitor).store.folder
        if session.on_zerogpu or not read_examples(folder):
            return None
        return example_pictures(session, gallery_name, visitor=visitor)[0][0]
    except WellspringError:
        return None


def _starting_points(examples: Sequence[Example]) -> dict[str, Example]:
    """One example for each thing that an answer may say, by what a person would call it.

    One that was made to show it comes before the others.
    """
    examples = sorted(examples, key=lambda example: not example.chosen)
    wanted = {"A variation": 1, "A mixture of two": 2, "No source here": 0}
    found = {
        name: next((each for each in examples if len(each.sources) == count), None)
        for name, count in wanted.items()
    }
    return {name: example for name, example in found.items() if example is not None}


def _spread(items: Sequence[_T], *, count: int) -> Sequence[_T]:
    """At most so many, evenly over all."""
    if len(items) <= count:
        return items
    return [items[place * len(items) // count] for place in range(count)]


def pictures(
    session: Session, gallery_name: str, records: Sequence[ImageRecord], *, visitor: str = ""
) -> Pictures:
    """Thumbnail files and names of gallery images."""
    gallery = session.gallery(gallery_name, visitor=visitor)
    files = map(fetchable, session.thumbnails(gallery, records))
    return list(zip(files, map(name_of, records), strict=True))


def end_pictures(
    session: Session, choice: Choice, dimension: int, *, visitor: str, progress: Progress
) -> tuple[Pictures, Pictures]:
    """The gallery images at the upper and at the lower end of a dimension."""
    workspace = session.workspace(choice, visitor=visitor, progress=progress)
    most, least = (
        pictures(session, choice.gallery, end, visitor=visitor)
        for end in workspace.exciting(dimension)
    )
    return most, least
