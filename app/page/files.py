"""Files that come from the page and files that go to it; nothing else of the server is touched."""

from __future__ import annotations

import contextlib
from abc import ABCMeta
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import gradio as gr
from gradio.components import Component
from gradio.data_classes import FileData, ImageData, ListFiles
from gradio.processing_utils import save_bytes_to_cache, save_file_to_cache
from gradio.utils import get_upload_folder, is_in_or_equal, is_static_file

from app.page.errors import user_error

_C = TypeVar("_C", bound=Component)


def taken_as(
    component: _C,
    preprocess: Callable[[Any], Any],
    *,
    schema: Callable[[], dict[str, Any]] | None = None,
) -> _C:
    """The component with another ``preprocess``: ours judge files, where Gradio's would open them.

    A ``schema`` says in place of Gradio's what endpoints take.

    Gradio makes a component anew from its class whenever a handler updates it, so an attribute of
    the instance would be lost. Its metaclass writes a stub file beside every subclass, which is of
    no use here, and is passed over.
    """
    kind = type(component)
    own = {"preprocess": staticmethod(preprocess), "__module__": __name__}
    if schema is not None:
        own["api_info"] = staticmethod(schema)
    component.__class__ = ABCMeta.__new__(type(kind), kind.__name__, (kind,), own)
    return component


def unopened(payload: ImageData | None) -> str | None:
    """Path of an uploaded file as it came, so that the core is the first to judge it.

    The ``preprocess`` of an image component: see :func:`taken_as`.

    Raises:
        gr.Error: when it names any other file of the server.
    """
    return None if payload is None else uploaded(payload.path or "")


def uploads(payload: ListFiles | FileData | None) -> list[str]:
    """Paths of uploaded files, refused where they name any other file of the server."""
    files = [payload] if isinstance(payload, FileData) else payload or ()
    return [uploaded(file.path) for file in files]


def one_upload(payload: ListFiles | FileData | None) -> str | None:
    """Path of the only uploaded file; ``None`` where there is none."""
    found = uploads(payload)
    return found[0] if found else None


def uploaded(path: str) -> str:
    """The path, if it is of an upload or of a file that is served anyway.

    Raises:
        gr.Error: when it names any other file of the server.
    """
    with contextlib.suppress(OSError, ValueError):  # of what is no path at all
        if is_in_or_equal(path, get_upload_folder()) or is_static_file(path):
            return path
    raise user_error("this file was not uploaded; send the image itself")


def beside_uploads(file: Path, given: Component) -> Path:
    """A copy of a file beside what was uploaded to a component, which goes with the other files.

    Its path is told by its contents, as the path of an upload is, so the same file is copied once.
    """
    path = save_file_to_cache(file, cache_dir=given.GRADIO_CACHE)
    given.temp_files.add(path)
    return Path(path)


def downloadable(content: bytes, button: gr.DownloadButton, *, name: str) -> str:
    """A file for a download button, which removes it with the other files of its time."""
    path = save_bytes_to_cache(content, Path(name).name, button.GRADIO_CACHE)
    button.temp_files.add(path)
    return path


def offered(content: bytes, button: gr.DownloadButton, *, name: str) -> gr.DownloadButton:
    """The new value of a download button that is hidden while it has no file: seen, with this."""
    return gr.DownloadButton(value=downloadable(content, button, name=name), visible=True)
