from __future__ import annotations

import math
from asyncio import Queue
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import gradio as gr
import httpx
from gradio.server_messages import EstimationMessage, ProcessCompletedMessage
from gradio.state_holder import SessionState

from app.page.sessions import FETCHED, LightState, LightStates, Messages, Told
from app.ui import build, launch_options
from core.service import Session


def test_a_session_is_one_of_gradio_s_less_the_description_of_all():
    """A new release that adds to its sessions must be seen."""
    with gr.Blocks() as blocks:
        gr.State(1)
        gr.Textbox()
    blocks.get_config_file()
    theirs, ours = vars(SessionState(blocks)), vars(LightState(blocks))
    assert ours.keys() - theirs.keys() == {"opened", "browser", "client"}
    assert theirs.keys() <= ours.keys()
    different = {name for name, value in theirs.items() if value != ours[name]}
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


def few(most: int) -> tuple[LightStates, int]:
    """Sessions of a small app, of which few are kept, and the number of its state."""
    with gr.Blocks() as blocks:
        kept = gr.State(1)
    blocks.get_config_file()
    states = LightStates()
    states.set_blocks(blocks)
    states.capacity = most
    return states, kept._id


def test_calls_from_outside_do_not_end_the_sessions_of_pages():
    states, kept = few(3)
    states["page"][kept] = 2
    for call in range(10):
        states[f"call {call}"]
    assert list(states.session_data) == ["page", "call 8", "call 9"]
    for page in ("second", "third"):
        states[page][kept] = 3
    states["page"]
    states["fourth"][kept] = 4
    assert list(states.session_data) == ["third", "page", "fourth"]
    assert states["page"][kept] == 2


def test_no_call_loses_its_answer_to_pages():
    """Where as many were open as are kept, calls that waited ended without one."""
    states, kept = few(5)
    queue: Any = states.blocks._queue
    for name in ("first page", "second page"):
        states[name][kept] = 2
    waits = SimpleNamespace(session_hash="waits")
    works = SimpleNamespace(session_hash="works")
    queue.event_queue_per_concurrency_id = {"answers": SimpleNamespace(queue=[waits])}
    queue.active_jobs = [None, [works]]
    queue.pending_messages_per_session = {name: Queue() for name in ("is told", "was told")}
    for told in queue.pending_messages_per_session.values():
        told.put_nowait("the answer")
    for name in ("waits", "works", "is told"):
        states[name]
    states["waits"].client = states["works"].client = "the same"
    states["was told"]
    states.time_last_used["was told"] -= 2 * FETCHED
    for number in range(2):
        states[f"page {number}"][kept] = 2
    assert {*states.session_data} == {"waits", "works", "is told", "page 0", "page 1"}
    states.capacity = 3
    states["page 2"][kept] = 2
    assert {"waits", "works"} - states.session_data.keys()  # these many would crowd out pages


def test_nobody_ends_the_pages_of_others_by_opening_many():
    """The longest unused went, so that 1,000 numbers of one client ended the pages of all."""
    states, kept = few(10)
    for client in ("ann", "bob"):
        states[client][kept] = client
        states[client].client = client
    for number in range(100):
        states[f"page {number}"][kept] = number
        states[f"page {number}"].client = "crowd"
    assert {"ann", "bob"} <= states.session_data.keys()
    own = [name for name in states.session_data if name.startswith("page")]
    assert own == [f"page {number}" for number in range(92, 100)]  # its own longest unused went


def test_a_page_that_is_loading_holds_something():
    """It had no state yet, and went before those of calls from outside."""
    states, _ = few(3)
    states["page"].opened = True
    for call in range(10):
        states[f"call {call}"]
    assert "page" in states.session_data


def test_a_session_goes_as_a_whole_and_only_out_of_use():
    """An hour after its connection broke once, a page that was in use lost state by state."""
    states, kept = few(3)
    for name in ("used", "left"):
        states[name][kept] = 2
        states[name]._state_ttl[kept] = (math.inf, datetime.now() - timedelta(hours=2))
        states[name].is_closed = True
    states.time_last_used["left"] = datetime.now() - timedelta(hours=2)
    states.delete_all_expired_state()
    assert list(states.session_data) == ["used"]
    assert states["used"][kept] == 2


def test_what_a_queue_tells_a_session_that_is_gone_stops_nothing():
    """Gradio kept 2,000 of them; a call that waited for the oldest one stopped the queue."""
    messages = Messages(list)
    messages["page"] = [1]
    del messages["page"]
    del messages["page"]
    messages["page"].append(2)
    assert "page" not in messages


def test_an_answer_that_nobody_fetched_is_not_kept():
    """Who asked and never listened filled the memory, a tenth of a megabyte for each answer."""
    states, _ = few(3)
    queue: Any = states.blocks._queue
    queue.pending_messages_per_session = Messages(Told)
    queue.pending_messages_per_session["page"] = Queue()  # as Gradio begins
    told = queue.pending_messages_per_session["page"]
    for number in range(2):
        told.put_nowait(EstimationMessage(rank=0, queue_size=1))
        answer = {"data": [number]}
        told.put_nowait(ProcessCompletedMessage(output=answer, success=True, event_id=str(number)))
    states.delete_all_expired_state()
    held = told._queue
    for place in (0, 1):
        held[place] = (held[place][0] - FETCHED, held[place][1])
    states.delete_all_expired_state()
    first, late, third, answer = (told.get_nowait() for _ in range(4))
    assert (first.msg, third.msg) == ("estimation", "estimation")
    assert "not fetched within a minute; ask again" in late.output["error"]
    assert (late.event_id, late.success) == ("0", False)
    assert (answer.output, answer.success) == ({"data": [1]}, True)
