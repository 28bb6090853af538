"""Sessions of pages and clients, as Gradio keeps them, without what only its deep links need."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from copy import copy
from datetime import datetime
from typing import Any

import gradio as gr
from gradio.state_holder import SessionState, StateHolder

CAPACITY = 1_000
"""Sessions that are kept: some 0.1 MB of each page that was opened, 0.02 of a call from outside."""


class LightState(SessionState):
    """A session without a description of its components and all that they show.

    Gradio makes one for each session, and each call from outside the page is a session of its own:
    0.7 MB and a tenth of a second for this page, in the thread that serves everybody; and what a
    handler shows is kept in it for as long as the session is. Only links to a state of the page
    read it, which this page does not offer.
    """

    def __init__(self, blocks: gr.Blocks) -> None:
        self.blocks_config = copy(blocks.default_config)
        self.blocks_config.fns = blocks.default_config.fns  # the same for all: none is rendered
        self.config_values: dict[int, Any] = {}
        self.state_data: dict[int, Any] = {}
        self._state_ttl: dict[int, Any] = {}
        self.is_closed = False
        self.STATE_TTL_WHEN_CLOSED = 3_600  # seconds, as Gradio's

    def __setitem__(self, key: int, value: Any) -> None:
        """Keep a state, or a component as a handler changed it."""
        super().__setitem__(key, value)
        self.config_values.clear()

    def _update_config(self, key: int) -> None:
        """Describe nothing."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Keep nothing of what is shown."""


class LightStates(StateHolder):
    """Keeps such sessions; one that holds nothing goes first, of these the longest unused.

    Calls from outside leave nothing behind, however many there are, so that they do not end the
    sessions of open pages.
    """

    def __getitem__(self, session_id: str) -> SessionState:
        """The session of a name, which begins where there is none."""
        if session_id not in self.session_data:
            self.session_data[session_id] = LightState(self.blocks)
        self.update(session_id)
        self.time_last_used[session_id] = datetime.now()
        return self.session_data[session_id]

    def update(self, session_id: str) -> None:
        """Note that a session is used, and let one go where there are too many."""
        with self.lock:
            self.session_data.move_to_end(session_id)
            if len(self.session_data) > self.capacity:
                others = [name for name in self.session_data if name != session_id]
                empty = (name for name in others if not self.session_data[name].state_data)
                gone = next(empty, others[0])
                del self.session_data[gone]
                self.time_last_used.pop(gone, None)


@contextlib.asynccontextmanager
async def light_sessions(app: Any) -> AsyncIterator[None]:
    """Give the web app such sessions as it starts."""
    states = LightStates()
    states.set_blocks(app.get_blocks())
    app.state_holder = states
    yield
