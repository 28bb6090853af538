"""The filter of the tab: judged as it is written, and kept in a gallery that has its columns."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gradio as gr

from app.page.state import Page, filter_help, wrong_filter
from app.views.templates import render


@dataclass(frozen=True)
class FilterHandlers:
    """What happens when the filter is written, and when the gallery changes."""

    page: Page

    def judge(
        self, where: str | None, before: str, name: str, request: gr.Request
    ) -> tuple[str, str]:
        """The filter where it can be read, else the one before; and what is wrong with it."""
        where = (where or "").strip()
        wrong = wrong_filter(where, self.page.gallery_of(name, request))
        kept = before if wrong else where
        return kept, render("filter", wrong=wrong, kept=kept) if wrong else ""

    def submit(
        self, where: str | None, before: str, name: str, count: int, request: gr.Request
    ) -> tuple[Any, ...]:
        """The same, and one more filter to ask with where it can be read."""
        kept, wrong = self.judge(where, before, name, request)
        return kept, wrong, gr.skip() if wrong else count + 1

    def keep(self, where: str | None, name: str, request: gr.Request) -> tuple[Any, str, str]:
        """The filter in another gallery, where that has its columns, and what it may say there."""
        gallery = self.page.gallery_of(name, request)
        where = (where or "").strip()
        kept = "" if wrong_filter(where, gallery) else where
        return gr.Textbox(kept, info=filter_help(gallery)), kept, ""
