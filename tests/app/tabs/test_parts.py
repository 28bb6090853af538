"""Which part of Attribute is open is in the address."""

from __future__ import annotations

import gradio as gr
import pytest

from app.tabs.attribute.parts import PARTS, open_part


@pytest.mark.parametrize("part", PARTS)
def test_a_page_opens_with_the_part_that_its_address_names(part: str):
    """A page that was loaded anew had always One open."""
    switch, *stages = open_part(gr.Request(query_params={"part": part}))
    assert switch.selected == part
    assert [stage.visible for stage in stages] == [name == part for name in PARTS]


@pytest.mark.parametrize("query", [{}, {"part": "nothing"}, {"part": ""}])
def test_no_part_or_an_unknown_one_changes_nothing(query: dict[str, str]):
    assert open_part(gr.Request(query_params=query)) == [gr.skip()] * 5
