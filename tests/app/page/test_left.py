"""A page that is loaded anew finds what it had before, and nobody else does."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from app.page.sessions import LightStates, left_in
from app.page.visitor import VISITOR

MINE, OTHERS = "a" * 32, "b" * 32


@pytest.fixture
def blocks() -> gr.Blocks:
    with gr.Blocks() as blocks:
        gr.State(None)
    blocks.get_config_file()
    return blocks


@pytest.fixture
def state(blocks: gr.Blocks) -> Any:
    return next(iter(blocks.blocks.values()))


def asked(blocks: gr.Blocks, state: Any, *, browser: str) -> dict[str, Any]:
    """The scope of a request, where one page of a browser holds something."""
    states = LightStates()
    states.set_blocks(blocks)
    states["page"].browser = browser
    states["page"][state._id] = "found"
    return {"app": SimpleNamespace(state_holder=states)}


def left(state: Any, scope: dict[str, Any], *, page: Any = "page", hosted: bool = True) -> Any:
    request: Any = SimpleNamespace(request=SimpleNamespace(scope=scope))
    return left_in(state, page, request, hosted=hosted)


def test_a_browser_finds_what_its_page_held(blocks: gr.Blocks, state: Any):
    scope = asked(blocks, state, browser=MINE)
    assert left(state, {**scope, VISITOR: MINE}) == "found"
    assert left(state, scope, hosted=False) == "found"  # a server of one's own knows no browsers


@pytest.mark.parametrize("page", ["another", "", None])
def test_a_page_that_is_not_known_held_nothing(blocks: gr.Blocks, state: Any, page: Any):
    scope = {**asked(blocks, state, browser=MINE), VISITOR: MINE}
    assert left(state, scope, page=page) is None
    assert list(scope["app"].state_holder.session_data) == ["page"]  # and none begins by asking


def test_another_visitor_s_page_is_not_looked_at(blocks: gr.Blocks, state: Any):
    scope = asked(blocks, state, browser=MINE)
    for other in ({VISITOR: OTHERS}, {VISITOR: ""}, {}):
        assert left(state, {**scope, **other}) is None
    scope = asked(blocks, state, browser="")  # keeps no cookie: as many do
    for other in ({VISITOR: MINE}, {VISITOR: ""}, {}):
        assert left(state, {**scope, **other}) is None


def test_without_a_server_there_is_nothing(state: Any):
    assert left(state, {}, hosted=False) is None
    assert left_in(state, "page", None, hosted=False) is None
