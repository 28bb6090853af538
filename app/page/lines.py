"""The lines in which calls wait, so that long work stands before nobody who waits for an answer.

Each line works on a few calls at once (``ServerConfig.at_once``, where nothing else is said). A
handler that names no line works beside an answer, unless it is named here as done at once: Gradio
would give each event of it a line of its own.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

ANSWER = "encoder"
"""One image is asked about: a second, or some at the first look at a gallery."""
MEASURE = "measure"
"""A whole gallery is looked at: up to a minute."""
BUILD = "build"
"""Galleries are built and changed, and many images are asked about: minutes."""
PREPARE = "prepare"
"""An encoder is fetched and applied, or somebody waits for it."""
JUDGE = "judge"
"""The dimensions of a head are fitted again beside an answer."""

DETAIL = "detail"
"""What is shown beside an answer, and its files: a second."""
FINISHED = "finished"
"""Files of long work that ended or was stopped, which nobody needs time for: it is kept."""

LONG = (ANSWER, MEASURE, BUILD, PREPARE, JUDGE, DETAIL)
"""Those that take a client's seconds; all others are done at once."""

_NO_WORK = {
    "api": "Endpoints.encoders",
    "page.address": (
        "connect.<locals>.restore connect.<locals>.welcomed connect.<locals>.followed "
        "connect.<locals>.opened _numbers"
    ),
    "page.components": "stop_button.<locals>.stop",
    "page.encoders": (
        "_Handlers.choose _Handlers.offer _Handlers.stop _Handlers.relabel _Handlers.renew"
    ),
    "page.events": (
        "choose_example.<locals>.select choose_example.<locals>.put "
        "renew_examples.<locals>.examples_of _Here.tell _Here.told _Here.take row_of"
    ),
    "page.jobs": "Jobs.stop_all",
    "page.notice": "create.<locals>.said",
    "tabs.attribute.batch_handlers": (
        "cleared BatchHandlers.opened BatchHandlers.again BatchHandlers.of_gallery"
    ),
    "tabs.attribute.events": "create.<locals>.carry",
    "tabs.attribute.handlers": (
        "Handlers.refused Handlers.before Handlers.resized Handlers.marked"
    ),
    "tabs.attribute.reason_handlers": "ReasonHandlers.no_files",
    "tabs.attribute.filter_handlers": (
        "FilterHandlers.keep FilterHandlers.judge FilterHandlers.submit"
    ),
    "tabs.attribute.parts": "open_part",
    "tabs.attribute.reverse_handlers": (
        "ReverseHandlers.sought ReverseHandlers.foretell ReverseHandlers.offer "
        "ReverseHandlers.take ReverseHandlers.opened ReverseHandlers.again "
        "ReverseHandlers.of_gallery"
    ),
    "tabs.attribute.selftest_handlers": "cleared SelftestHandlers.measured",
    "tabs.compare.handlers": (
        "no_examples Handlers.refused Handlers.before Handlers.refilter Handlers.begin"
    ),
    "tabs.disentanglement.handlers": "cleared Handlers.choice Handlers.pick",
    "tabs.gallery.handlers": (
        "Handlers.show Handlers.cleared Handlers.open Handlers.kinds Handlers.again "
        "Handlers.rename Handlers.fill_in"
    ),
    "tabs.gallery.shelf_handlers": (
        "ShelfHandlers.look ShelfHandlers.values ShelfHandlers.turned ShelfHandlers.told "
        "ShelfHandlers.counted ShelfHandlers.every ShelfHandlers.none ShelfHandlers.ask "
        "ShelfHandlers.opt_out ShelfHandlers.opt_in ShelfHandlers.undo"
    ),
    "tabs.map.handlers": "Handlers.wanted Handlers.refused Handlers.cleared",
}
AT_ONCE = {f"app.{module}.{name}" for module, names in _NO_WORK.items() for name in names.split()}
"""Handlers that only tell what is known, or list what is open; a page opens and goes on by them."""


def assign(blocks: gr.Blocks) -> None:
    """Give every handler that works, and names no line, the one beside answers."""
    for handler in blocks.fns.values():
        if _works_unnamed(handler) and handler.concurrency_limit == "default":
            handler.concurrency_id = DETAIL


def is_long(handler: Any) -> bool:
    """Whether a handler takes a client's seconds, and is refused where there are none."""
    return handler.concurrency_id in LONG or _works_unnamed(handler)


def _works_unnamed(handler: Any) -> bool:
    own = str(handler.concurrency_id).isdigit()  # Gradio's, of the handler alone
    return own and handler.fn is not None and not _is_at_once(handler.fn)


def _is_at_once(work: Any) -> bool:
    name = f"{work.__module__}.{work.__qualname__}"
    return name in AT_ONCE or name.endswith("<lambda>")


def waiting(queue: Any) -> list[Any]:
    """All calls that wait in the lines of a queue."""
    lines = list(queue.event_queue_per_concurrency_id.values())
    return [call for line in lines for call in line.queue]
