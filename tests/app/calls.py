"""Handlers of a served page, called by hand as the page calls them."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
import httpx

from app.page.state import Page
from app.tabs.attribute import layout


def call(
    blocks: gr.Blocks, address: str, name: str, data: list[Any], *, visitor: str
) -> dict[str, Any]:
    """What the server tells after the handler of a name was called by its number.

    The page is loaded first, by the handler that does so.
    """
    (number, *_) = (i for i, fn in blocks.fns.items() if fn.name == name)
    (load, *_) = (i for i, fn in blocks.fns.items() if fn.name == "restore")
    queue = f"{address}gradio_api/queue"
    for handler, given in ((load, []), (number, data)):
        body = {"data": given, "fn_index": handler, "session_hash": visitor}
        joined = httpx.post(f"{queue}/join", json=body).raise_for_status().json()
    with httpx.stream("GET", f"{queue}/data?session_hash={visitor}", timeout=60) as stream:
        for line in stream.iter_lines():
            told = json.loads(line.removeprefix("data:")) if line.startswith("data:") else {}
            if told.get("msg") == "process_completed" and told["event_id"] == joined["event_id"]:
                return told
    raise AssertionError("the handler did not end")


def controls_of(
    page: Page,
    controls: layout.Controls,
    *,
    head: str = "default",
    scoring: tuple[str, ...] = (layout.LOCAL_SCALING,),
) -> dict[Any, Any]:
    """What the controls of Attribute give, of random weights."""
    return {
        controls.encoder: "random",
        controls.head: head,
        controls.scoring: [*scoring],
        controls.prior: 50,
        controls.where: "",
        page.gallery: page.start,
    }
