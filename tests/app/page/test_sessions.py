from __future__ import annotations

from pathlib import Path

import gradio as gr
import httpx
from gradio.state_holder import SessionState

from app.page.sessions import LightState, LightStates
from app.ui import build, launch_options
from core.service import Session


def test_a_session_is_one_of_gradio_s_less_the_description_of_all():
    """A new release that adds to its sessions must be seen."""
    with gr.Blocks() as blocks:
        gr.State(1)
        gr.Textbox()
    blocks.get_config_file()
    theirs, ours = vars(SessionState(blocks)), vars(LightState(blocks))
    assert theirs.keys() == ours.keys()
    different = {name for name, value in ours.items() if value != theirs[name]}
    assert different <= {"blocks_config", "config_values"}
    assert ours["config_values"] == {}


def test_calls_from_outside_leave_little_behind(gallery_folder: Path):
    """Each call described all components, 0.7 MB and a tenth of a second of everybody's thread."""
    blocks = build(Session(), gallery=str(gallery_folder))
    app, url, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    try:
        for _ in range(5):
            event = httpx.post(f"{url}gradio_api/call/encoders", json={"data": []}).json()
            heard = httpx.get(f"{url}gradio_api/call/encoders/{event['event_id']}", timeout=60)
            assert "event: complete" in heard.text
        states = app.state_holder.session_data.values()
        assert len(states) == 5
        assert not any(state.config_values for state in states)
        assert app.state_holder.capacity < 10_000
    finally:
        blocks.close()


def test_what_a_page_shows_is_not_kept():
    """An answer's HTML stayed in its session, once as component and once as description."""
    with gr.Blocks() as blocks:
        shown = gr.HTML()
    blocks.get_config_file()
    state = LightState(blocks)
    state[shown._id] = gr.HTML("long " * 1_000, render=False)
    state._update_config(shown._id)
    state._update_value_in_config(shown._id, "long " * 1_000)
    assert state.config_values == {}


def test_calls_from_outside_do_not_end_the_sessions_of_pages():
    with gr.Blocks() as blocks:
        kept = gr.State(1)
    blocks.get_config_file()
    states = LightStates()
    states.set_blocks(blocks)
    states.capacity = 3
    states["page"][kept._id] = 2
    for call in range(10):
        states[f"call {call}"]
    assert list(states.session_data) == ["page", "call 8", "call 9"]
    for page in ("second", "third"):
        states[page][kept._id] = 3
    states["page"]
    states["fourth"][kept._id] = 4
    assert list(states.session_data) == ["third", "page", "fourth"]
    assert states["page"][kept._id] == 2
