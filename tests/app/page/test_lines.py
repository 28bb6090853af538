"""In which line every handler of the app waits."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from app.page.lines import AT_ONCE, DETAIL, FINISHED, LONG, is_long
from app.ui import build
from core.config import ServerConfig
from core.service import Session

NAMED = (*LONG, FINISHED, "fetch")


@pytest.fixture(scope="module")
def blocks(gallery_folder: Path) -> gr.Blocks:
    server = ServerConfig(encoders=("random",))  # so that there is a notice
    return build(Session(server=server), gallery=str(gallery_folder))


def names(blocks: gr.Blocks) -> list[tuple[str, Any]]:
    found = [(each.fn, each) for each in blocks.fns.values()]
    return [(f"{work.__module__}.{work.__qualname__}", each) for work, each in found if work]


def test_what_works_waits_in_a_line_and_is_refused_without_time(blocks: gr.Blocks):
    """Explanations and files had a line for each event: all began at once, and had no end."""
    for name, handler in names(blocks):
        known = name in AT_ONCE or name.endswith("<lambda>")
        one_by_one = handler.concurrency_limit == 1 and is_long(handler)
        assert known != (handler.concurrency_id in NAMED or one_by_one), name
        assert not (known and is_long(handler)), name


@pytest.mark.parametrize("work", ["explain", "excite", "export", "sum_up", "recolour"])
def test_what_is_shown_beside_an_answer_shares_a_line(blocks: gr.Blocks, work: str):
    works = tuple(f".{kind}.{work}" for kind in ("Handlers", "ReasonHandlers"))
    found = [each for name, each in names(blocks) if name.endswith(works)]
    assert found
    assert {(each.concurrency_id, each.concurrency_limit) for each in found} == {
        (DETAIL, "default")
    }


def test_every_name_is_a_handler_s(blocks: gr.Blocks):
    """One that is renamed would wait, and could be refused where a page opens."""
    assert AT_ONCE - {name for name, _ in names(blocks)} == set()


def test_a_new_handler_works_until_it_is_named():
    def new() -> None: ...

    assert is_long(SimpleNamespace(fn=new, concurrency_id="140", concurrency_limit="default"))
    assert not is_long(SimpleNamespace(fn=lambda: 0, concurrency_id="140"))
