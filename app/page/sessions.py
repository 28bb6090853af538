"""Sessions of pages and clients, as Gradio keeps them, without what only its deep links need."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from copy import copy
from datetime import datetime
from typing import Any

import gradio as gr
from gradio.state_holder import SessionState, StateHolder

CAPACITY = 2_000
"""Sessions that are kept; the one that was not used for longest goes first."""


class LightState(SessionState):
    """A session that begins without a description of every component.

    Gradio makes one for each session, and each call from outside the page is a session of its own:
    0.7 MB and a tenth of a second for this page, in the thread that serves everybody. Links to a
    state of the page need it, which this page does not offer. What a handler changes is described
    when it changes.
    """

    def __init__(self, blocks: gr.Blocks) -> None:
        self.blocks_config = copy(blocks.default_config)
        self.config_values: dict[int, Any] = {}
        self.state_data: dict[int, Any] = {}
        self._state_ttl: dict[int, Any] = {}
        self.is_closed = False
        self.STATE_TTL_WHEN_CLOSED = 3_600  # seconds, as Gradio's


class LightStates(StateHolder):
    """Keeps such sessions."""

    def __getitem__(self, session_id: str) -> SessionState:
        """The session of a name, which begins where there is none."""
        if session_id not in self.session_data:
            self.session_data[session_id] = LightState(self.blocks)
        self.update(session_id)
        self.time_last_used[session_id] = datetime.now()
        return self.session_data[session_id]


@contextlib.asynccontextmanager
async def light_sessions(app: Any) -> AsyncIterator[None]:
    """Give the web app such sessions as it starts."""
    states = LightStates()
    states.set_blocks(app.get_blocks())
    app.state_holder = states
    yield
