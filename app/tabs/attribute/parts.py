"""The parts of the tab: which is open, what stands beside it, and where the address names one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.context import Context

from app.page.events import QUIET

PARTS = ("one", "several", "reverse", "test")
"""The parts, by the names of their tabs."""

TURN = """async () => {
  await new Promise((done) => setTimeout(done));
  const parts = [...document.querySelectorAll('#ws-switch [role=tab]')];
  const open = parts.findIndex((part) => part.getAttribute('aria-selected') === 'true');
  const shown = (place) => (open < 0 ? {} : { visible: place === open });
  return [0, 1, 2, 3].map((place) => ({ __type__: 'update', ...shown(place) }));
}"""
"""Shows what stands beside the part that is open, as :func:`turned` does on the server. The page
does it, since answers to quick choices may arrive in any order; a part is marked as open only after
its event."""

TO_TABS = """() => {
  window.wellspring.write('part', 'one');
  document.querySelector('#ws-switch [role=tab]')?.focus({preventScroll: true});
}"""
"""Where a case is opened: in the address, and the keyboard one step from the way back."""


def turned(place: int) -> list[gr.Column]:
    """What is shown beside one of the parts."""
    return [gr.Column(visible=i == place) for i in range(len(PARTS))]


def open_part(request: gr.Request) -> list[Any]:
    """The part that the address names, and what stands beside it; as it is where it names none."""
    part = dict(request.query_params).get("part")
    if part not in PARTS:
        return [gr.skip() for _ in range(1 + len(PARTS))]
    return [gr.Tabs(selected=part), *turned(PARTS.index(part))]


def remember(switch: gr.Tabs, tabs: Sequence[gr.Tab], stages: Sequence[gr.Column]) -> None:
    """Open the part that the address names, and write there which one is open."""
    for name, tab in zip(PARTS, tabs, strict=True):
        write = f"() => window.wellspring.write('part', '{name}')"
        tab.select(None, js=write, queue=False, **QUIET)
    if Context.root_block is not None:
        Context.root_block.load(open_part, None, [switch, *stages], **QUIET)
