"""Values that a client sends, judged by what their components hold before a handler sees them.

Gradio passes on what it is sent: a list in the place of a choice, a number that is none, a text in
the place of a file. A handler meets none of them: such a call is refused in words.
"""

from __future__ import annotations

import contextlib
import errno
import inspect
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn, get_args

import gradio as gr
from gradio.components import Component
from gradio.exceptions import ComponentProcessingError, InvalidPathError
from gradio.processing_utils import check_all_files_in_cache
from gradio.utils import get_type_hints, get_upload_folder, is_in_or_equal
from pydantic import ValidationError

from app.page.errors import user_error

_LONGEST = 4_000  # characters of a text whose component names no other number
_LARGEST = 2.0**53  # beyond it, whole numbers are not told apart
_GONE = "this file is not on the server any more; send it again"
_UNFIT = "what was sent does not fit what is asked for; reload the page"
_NO_FILE = (errno.ENOENT, errno.EISDIR, errno.ENOTDIR, errno.ENAMETOOLONG, errno.ELOOP)


def judge_values(blocks: gr.Blocks) -> None:
    """Judge all values that calls of an app's handlers and endpoints bring, and their events."""
    process, preprocess = blocks.process_api, blocks.preprocess_data
    hints_of = {number: _hints(each) for number, each in blocks.fns.items()}

    async def processed(block_fn: Any, inputs: list[Any], *rest: Any, **more: Any) -> Any:
        _judge_event(more.get("event_data"), hints_of[block_fn._id])
        return await process(block_fn, inputs, *rest, **more)

    async def preprocessed(block_fn: Any, inputs: list[Any], state: Any, *rest: Any) -> Any:
        if len(inputs) != len(block_fn.inputs):
            raise user_error(f"{len(block_fn.inputs)} values are needed, {len(inputs)} were sent")
        hints = hints_of[block_fn._id]
        for number, (block, value) in enumerate(zip(block_fn.inputs, inputs, strict=True)):
            if block.stateful:
                continue  # it is the server's own: what is sent in its place is not read
            shown = state[block._id] if state is not None and block._id in state else block
            empty = _takes_none(hints, number, default=None in (block.value, shown.value))
            _judge(shown, value, empty=empty)
        return await _taken(preprocess(block_fn, inputs, state, *rest))

    vars(blocks)["process_api"] = processed
    vars(blocks)["preprocess_data"] = preprocessed


async def _taken(values: Awaitable[Any]) -> Any:
    """What Gradio makes of values; what it does not take is the client's fault, not the program's.

    Raises:
        gr.Error: when it takes one not.
    """
    try:
        return await values
    except gr.Error:
        raise
    except (ComponentProcessingError, InvalidPathError, ValidationError) as error:
        raise user_error(_UNFIT) from error
    except OSError as error:
        if error.errno in _NO_FILE:
            raise user_error(_GONE) from error
        raise


def _judge(component: Any, value: Any, *, empty: bool) -> None:
    """Refuse a value that a component cannot hold.

    Args:
        component: as the page shows it.
        value: as it was sent.
        empty: whether the component may be empty.

    Raises:
        gr.Error: in words that say what is needed.
    """
    kind = next((kind for kind in _KINDS if isinstance(component, kind)), None)
    if kind is None:
        return
    if value is None:
        if not empty and kind not in _OFTEN_EMPTY:
            _refuse(component, "a value is needed")
        return
    _KINDS[kind](component, value)


def _number(component: Any, value: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not -_LARGEST <= value <= _LARGEST:  # not a number is neither
        _refuse(component, "a finite number is needed")


def _text(component: Any, value: Any) -> None:
    if not isinstance(value, str):
        _refuse(component, "a text is needed")
    most = getattr(component, "max_length", None) or _LONGEST
    if len(value) > most:
        _refuse(component, f"a text of at most {most:,} characters is needed")
    if "\0" in value or (not value.isprintable() and _broken(value)):
        _refuse(component, "a text of whole characters is needed")


def _broken(text: str) -> bool:
    """Whether halves of characters are in it, which no file and no answer can hold."""
    return any("\ud800" <= character <= "\udfff" for character in text)


def _flag(component: Any, value: Any) -> None:
    if not isinstance(value, bool):
        _refuse(component, "true or false is needed")


def _choice(component: Any, value: Any) -> None:
    if getattr(component, "multiselect", False):
        _choices(component, value)
    elif isinstance(value, str):
        _text(component, value)
    else:
        _number(component, value)


def _choices(component: Any, value: Any) -> None:
    if not isinstance(value, list) or len(value) > max(len(component.choices), 1):
        _refuse(component, "a list of some of its choices is needed")
    for each in value:
        if not isinstance(each, str | int | float):
            _refuse(component, "a list of some of its choices is needed")


def _file(component: Any, value: Any) -> None:
    """A file is an object with a path, and one of those that were uploaded is still there."""
    for each in value if isinstance(value, list) else [value]:
        path = each.get("path") if isinstance(each, dict) else None
        if not isinstance(path, str) or not path:
            _refuse(component, "an uploaded file is needed")
        _text(component, path)
        if is_in_or_equal(path, get_upload_folder()) and not _is_file(path):
            raise user_error(_GONE)


def _is_file(path: str) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return Path(path).is_file()
    return False


_KINDS: Mapping[type[Component], Callable[[Any, Any], None]] = {
    gr.Number: _number,
    gr.Slider: _number,
    gr.Checkbox: _flag,
    gr.CheckboxGroup: _choices,
    gr.Dropdown: _choice,
    gr.Radio: _choice,
    gr.Textbox: _text,
    gr.Image: _file,
    gr.File: _file,
}
_OFTEN_EMPTY = (gr.Image, gr.File)


def _hints(block_fn: Any) -> list[Any]:
    """Types of what a handler takes, in their order, as far as it says them."""
    handler = block_fn.fn
    if handler is None:
        return []
    hints = get_type_hints(handler)
    if block_fn.inputs_as_dict:
        return [Any] * len(block_fn.inputs) + list(hints.values())
    return [hints.get(name, Any) for name in inspect.signature(handler).parameters]


def _takes_none(hints: list[Any], number: int, *, default: bool) -> bool:
    """Whether a component may be empty: it is so by itself, and its handler does not deny it."""
    hint = hints[number] if number < len(hints) else Any
    return default and (hint is Any or hint is type(None) or type(None) in get_args(hint))


def _judge_event(event: Any, hints: list[Any]) -> None:
    """Refuse what is told of an event where its handler cannot use it.

    All that this page lets people select lies in a list, and has one number.

    Raises:
        gr.Error: when a selection has no such place, or when a file is named that was not sent.
    """
    told: Any = getattr(event, "_data", None)
    if gr.SelectData in hints:
        place = told.get("index") if isinstance(told, dict) else None
        if type(place) is not int or not 0 <= place < _LARGEST or "value" not in told:
            raise user_error("what was selected is not among what is shown; reload the page")
    if gr.SelectData in hints or gr.EventData in hints:
        try:
            check_all_files_in_cache(event._data)
        except (InvalidPathError, ValueError, OSError) as error:
            raise user_error(_UNFIT) from error


def _refuse(component: Any, needed: str) -> NoReturn:
    """Raise an error that names the component.

    Raises:
        gr.Error: always.
    """
    label = component.label or component.elem_id
    raise user_error(f"{label}: {needed}" if label else needed)
