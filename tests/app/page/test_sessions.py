from __future__ import annotations

from pathlib import Path

import gradio as gr
import httpx
from gradio.state_holder import SessionState

from app.page.sessions import LightState
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
        assert sum(len(state.config_values) for state in states) <= 5  # what the calls changed
        assert app.state_holder.capacity < 10_000
    finally:
        blocks.close()
