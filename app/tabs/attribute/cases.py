"""Tables of cases: the component that they are shown in, and the case that a row opens."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from app.page.theme import SCRIPTS
from app.tabs.attribute.handlers import Search


@dataclass(frozen=True)
class Opened:
    """A case that is opened as a single image."""

    search: Search
    index: int = 0
    """Place of the match whose reasons are shown."""


def cases_table(empty: str, *, elem_id: str) -> gr.HTML:
    """A table whose rows are sorted, filtered and selected on the page.

    Args:
        empty: what is shown before there are rows.
        elem_id: identity of the component.
    """
    return gr.HTML(
        empty,
        js_on_load=(SCRIPTS / "cases.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id=elem_id,
        min_height=180,
    )
