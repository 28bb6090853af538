"""Sessions of pages and clients, as Gradio keeps them, without what only its deep links need.

A session is what the server knows of an open page. It is kept or forgotten whole: a page whose
session is gone must be told so, since all that it holds would begin anew (``opened``).
"""

from __future__ import annotations

import contextlib
from asyncio import Queue
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from copy import copy
from datetime import datetime, timedelta
from itertools import chain
from typing import Any

import gradio as gr
from gradio.state_holder import SessionState, StateHolder

from app.page.lines import waiting
from app.page.visitor import VISITOR, scope_of

CAPACITY = 1_000
"""Sessions that are kept: some 0.1 MB of each page that was opened, 0.02 of a call from outside."""
FETCHED = timedelta(minutes=1)
"""Time in which an answer is fetched, or its session holds nothing any more."""
UNHEARD = 300
"""Messages that wait for a session to fetch them, with which it calls nothing more."""
_LATE = {"error": "this answer was not fetched within a minute; ask again"}


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
        self.opened = False
        """Whether a page was loaded with it, so that it holds what the page shows."""
        self.browser = ""
        """Name of the browser that used it first; empty for one that keeps no cookie."""
        self.client = ""
        """Who used it first, as limits are counted."""

    def __setitem__(self, key: int, value: Any) -> None:
        """Keep a state, or a component as a handler changed it."""
        super().__setitem__(key, value)
        self.config_values.clear()

    def _update_config(self, key: int) -> None:
        """Describe nothing."""

    def _update_value_in_config(self, key: int, value: Any) -> None:
        """Keep nothing of what is shown."""

    @property
    def holds(self) -> bool:
        """Whether anything would be lost with it."""
        return self.opened or bool(self.state_data)


class LightStates(StateHolder):
    """Keeps such sessions; where there are too many, whoever has the most of them loses one.

    None goes whose call waits, as long as these are few. Those that hold nothing go first: calls
    from outside leave nothing behind once their answer was fetched. Then a client's longest unused
    one goes, so that nobody ends the sessions of others by opening many.
    """

    session_data: OrderedDict[str, Any]

    def __getitem__(self, session_id: str) -> LightState:
        """The session of a name, which begins where there is none."""
        if session_id not in self.session_data:
            self.session_data[session_id] = LightState(self.blocks)
        self.update(session_id)
        self.time_last_used[session_id] = datetime.now()
        return self.session_data[session_id]

    def known(self, session_id: str) -> LightState | None:
        """The session of a name, if there is one."""
        return self.session_data.get(session_id)

    def update(self, session_id: str) -> None:
        """Note that a session is used, and let one go where there are too many."""
        with self.lock:
            self.session_data.move_to_end(session_id)
            if len(self.session_data) > self.capacity:
                called, told = self._called() | {session_id}, self._told()
                kinds = {
                    name: (state.holds or name in told, state.client)
                    for name, state in self.session_data.items()
                    if name not in called
                }
                crowd = Counter(kinds.values())
                if kinds:
                    self.forget(min(kinds, key=lambda name: (kinds[name][0], -crowd[kinds[name]])))

    def _called(self) -> set[str]:
        """Sessions with a call that waits or is worked on; none where they would crowd out pages.

        Where 1,000 pages were open, calls from outside lost their answers while they waited.
        """
        queue = self.blocks._queue
        calls = chain(waiting(queue), *filter(None, queue.active_jobs))
        called = {call.session_hash for call in calls}
        return called if len(called) <= self.capacity / 2 else set()

    def _told(self) -> set[str]:
        """Sessions with an answer that may still be fetched."""
        told, late = self.blocks._queue.pending_messages_per_session, datetime.now() - FETCHED
        used = self.time_last_used
        return {
            name
            for name, last in list(used.items())
            if last > late and name in told and told[name].qsize()
        }

    def delete_all_expired_state(self) -> None:
        """Forget sessions that were closed and are out of use, and answers that nobody fetched.

        Gradio empties sessions state by state, also those of pages whose connection broke once: the
        page then went on with what states begin with.
        """
        for told in list(self.blocks._queue.pending_messages_per_session.values()):
            told.forget()
        now = datetime.now()
        with self.lock:
            for name, state in list(self.session_data.items()):
                idle = (now - self.time_last_used.get(name, now)).total_seconds()
                if state.is_closed and idle > state.STATE_TTL_WHEN_CLOSED:
                    self.delete_state(name)
                    self.forget(name)

    def forget(self, name: str) -> None:
        """Forget a session, and answers of it that nobody fetched."""
        del self.session_data[name]
        self.time_last_used.pop(name, None)
        queue = self.blocks._queue
        queue.pending_messages_per_session.pop(name, None)
        queue.pending_event_ids_session.pop(name, None)


class Told(Queue[Any]):
    """What one session is told; an answer that is not fetched in time becomes the words for that.

    Gradio keeps all: who asked and never listened filled the memory with a tenth of a megabyte
    for each answer.
    """

    def _put(self, item: Any) -> None:
        super()._put((datetime.now(), item))

    def _get(self) -> Any:
        return super()._get()[1]

    def forget(self) -> None:
        """Empty the answers that nobody fetched in time."""
        held, late = self._queue, datetime.now() - FETCHED  # pyright: ignore[reportAttributeAccessIssue]
        for place, (since, message) in enumerate(held):
            if since > late:
                break
            if getattr(message, "output", None) not in (None, _LATE):
                changed = {"output": _LATE, "success": False, "title": None}
                held[place] = (since, message.model_copy(update=changed))


def left_in(state: gr.State, page: str, request: gr.Request | None, *, hosted: bool) -> Any:
    """What a state holds on another page of the same browser; ``None`` where that is not known.

    So a page that is loaded anew finds what it had before. On a hosted server nothing is found for
    a browser that keeps no cookie: it cannot be told from others.

    Args:
        state: the state.
        page: number of the page, as the browser noted it: a secret of that page.
        request: whose browser it must be.
        hosted: whether strangers ask.
    """
    scope = scope_of(request)
    states = getattr(scope.get("app"), "state_holder", None)
    before = states.known(page) if isinstance(states, LightStates) else None
    if before is None:
        return None
    if hosted and (not before.browser or before.browser != scope.get(VISITOR)):
        return None
    return before.state_data.get(state._id)


class Messages(dict[str, Any]):
    """What a queue tells each session; what it tells one that is gone is lost.

    Gradio keeps 2,000, of which the oldest goes: its page hears nothing more, and a call of it that
    still waits stops the queue of all.
    """

    def __init__(self, kind: Callable[[], Any]) -> None:
        """None yet.

        Args:
            kind: makes what a session begins with.
        """
        super().__init__()
        self._kind = kind

    def __missing__(self, name: str) -> Any:
        return self._kind()

    def __setitem__(self, name: str, begun: Any) -> None:
        """Begin with one of its kind, whatever Gradio begins with."""
        super().__setitem__(name, self._kind())

    def __delitem__(self, name: str) -> None:
        self.pop(name, None)


@contextlib.asynccontextmanager
async def light_sessions(app: Any) -> AsyncIterator[None]:
    """Give the web app such sessions as it starts."""
    states, blocks = LightStates(), app.get_blocks()
    states.set_blocks(blocks)
    app.state_holder = states
    messages: Any = Messages(Told)
    blocks._queue.pending_messages_per_session = messages
    blocks._queue.pending_event_ids_session = Messages(set)
    yield
