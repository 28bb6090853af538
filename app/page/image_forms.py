"""The forms in which a call gives an image; each is an uploaded file before Gradio looks at it.

Gradio takes an uploaded file alone, fetches addresses in its own way, and fails on all else.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache
from gradio.utils import get_upload_folder

from app.page.errors import user_error, user_errors
from app.page.fetch import NO_WEB, Fetcher
from app.page.files import uploaded

_WEB = ("http://", "https://")
_META = {"meta": {"_type": "gradio.FileData"}}
_TOLD = ("url", "orig_name", "mime_type")


def image_schema() -> dict[str, Any]:
    """JSON schema of an image as endpoints take it: a text, or an object that names a file."""
    text = {"type": "string"}
    file = {"type": "object", "properties": {"path": text, "url": text}}
    return {
        "anyOf": [text, file],
        "additional_description": "an uploaded file, an https address, a data URI, or base64",
    }


def take_images(blocks: gr.Blocks, *, hosted: bool, fetcher: Fetcher | None = None) -> None:
    """Let the endpoints of an app take images in all forms, and its other handlers uploads alone.

    What came in another form lies in a file as long as the call takes.

    Args:
        blocks: the app.
        hosted: whether it fetches nothing.
        fetcher: fetches addresses.
    """
    process, reader = blocks.process_api, _Reader(None if hosted else fetcher or Fetcher())

    async def processed(block_fn: Any, inputs: list[Any], *rest: Any, **more: Any) -> Any:
        each = enumerate(block_fn.inputs[: len(inputs)])  # of too few or many values others speak
        places = [i for i, block in each if isinstance(block, gr.Image)]
        public = block_fn.api_visibility == "public"
        if not places or not (public or any(inputs[i] is not None for i in places)):
            return await process(block_fn, inputs, *rest, **more)
        root = Path(get_upload_folder())
        root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=root, ignore_cleanup_errors=True) as folder:
            kept, read = folder if public else None, [*inputs]
            for i in places:
                read[i] = await asyncio.to_thread(reader.read, inputs[i], kept)
            return await process(block_fn, read, *rest, **more)

    vars(blocks)["process_api"] = processed


class _Reader:
    """Reads images in all forms."""

    def __init__(self, fetcher: Fetcher | None) -> None:
        self.fetcher = fetcher
        address = "an https address, " if fetcher else ""
        self.refusal = f"no image was given; give an uploaded file, {address}a data URI or base64"

    def read(self, given: object, folder: str | None) -> dict[str, Any] | None:
        """The object of an uploaded file for what was given; ``None`` for nothing on the page.

        Args:
            given: what was sent in the place of an image.
            folder: where it is kept if it was not uploaded; ``None`` where uploads alone are taken.

        Raises:
            gr.Error: in words that say what is taken.
        """
        if given is None and folder is None:
            return None
        text = given
        if isinstance(given, Mapping):
            path = given.get("path")
            if isinstance(path, str) and path and not path.startswith(_WEB):
                told = {name: given[name] for name in _TOLD if isinstance(given.get(name), str)}
                return {"path": uploaded(path), **told, **_META}
            text = path or given.get("url")
        if folder is None or not isinstance(text, str) or not text.strip():
            raise user_error(self.refusal)
        with user_errors():
            content, name = self._content(text.strip())
        return {"path": save_bytes_to_cache(content, name, folder), "orig_name": name, **_META}

    def _content(self, text: str) -> tuple[bytes, str]:
        """The bytes that a text stands for, and a name for them.

        Raises:
            ImageError: when nothing can be fetched.
            gr.Error: when the text is of no form that is taken.
        """
        if text.startswith(_WEB):
            if self.fetcher is None:
                raise user_error(NO_WEB)
            return self.fetcher.fetch(text)
        head, comma, body = text.partition(",")
        if not comma:
            body = text
        elif not (head.startswith("data:") and head.endswith(";base64")):
            raise user_error(self.refusal)
        try:
            return base64.b64decode("".join(body.split()), validate=True), "image"
        except (binascii.Error, ValueError) as error:
            raise user_error(self.refusal) from error
