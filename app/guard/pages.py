"""Pages are of one browser each, and one that the server does not know is told to be reloaded."""

from __future__ import annotations

import asyncio
import json
import re
from typing import Any
from urllib.parse import parse_qs

import gradio as gr
from starlette.exceptions import HTTPException
from starlette.types import Scope

from app.guard.clients import CLIENT, is_owner, is_passed_on
from app.guard.limits import Refusal
from app.page.opening import path_of
from app.page.sessions import UNHEARD, LightState, LightStates
from app.page.visitor import VISITOR

UNKNOWN = (
    "the server does not know this page any more; reload it: its address names the gallery, the "
    "encoder and the example"
)
NOTHING = "there is nothing to be called by this number; reload the page"
UNFETCHED = "answers of this page wait to be fetched; fetch them, or reload it, and try again"
OTHERS = "this page is another browser's; reload it"
_TOOLS = "tools for MCP clients"  # the browser of calls by tools, which all share a page
OPENING = 2.0
"""Seconds for which a call waits for the loading of its page, which may arrive after it."""
_PAUSE = 0.02
_HEARD = re.compile(r"^/gradio_api/heartbeat/([^/]+)/?$")
_ANSWER = re.compile(r"^/gradio_api/call/(?:v2/)?[^/]+/([^/]+)/?$")
_TOLD = re.compile(r"^/gradio_api/(?:cancel|component_server)/?$")
_LISTENED = re.compile(r"^/gradio_api/queue/data/?$")


class Pages:
    """Looks at every use of a page's number, which names all that the page holds."""

    def __init__(self, *, hosted: bool) -> None:
        """Begin.

        Args:
            hosted: whether pages are of the browser that used them first.
        """
        self.hosted = hosted

    def watch(self, blocks: gr.Blocks) -> None:
        """Look at every call before it joins the queue of an app."""
        push = blocks._queue.push

        async def watched(body: Any, request: Any, username: str | None) -> Any:
            if body.session_hash is not None:
                await self._admit(body, request, blocks)
            joined = await push(body=body, request=request, username=username)
            if body.session_hash is not None:  # an event is a page of its own where none was named
                self.of(request.scope, body.session_hash)
            return joined

        vars(blocks._queue)["push"] = watched

    def refusal(self, scope: Scope, body: bytes = b"") -> Refusal | None:
        """Why a request is refused that names a page, or a call of one, beside the queue."""
        names = list(_named(scope, body)) if self.hosted else []
        if all(self.of(scope, name) for name in names):
            return None
        return Refusal("page", 403, OTHERS)

    def of(self, scope: Scope, name: str) -> bool:
        """Whether a page is of the browser that asks, which it becomes when it is used first."""
        states: LightStates = scope["app"].state_holder
        if not self.hosted:
            return True
        state, client, tool = states.known(name), scope.get(CLIENT, ""), is_passed_on(scope)
        browser = _TOOLS if tool else scope.get(VISITOR, "")
        if state is None or not state.client or tool:
            state = states[name]
            state.browser, state.client = browser, client
            return True
        if state.browser == _TOOLS:  # the client that tools call with keeps its own page open
            return is_owner(scope, token="", proxies=0)
        return state.browser == browser if state.browser else state.client == client

    async def _admit(self, body: Any, request: Any, blocks: gr.Blocks) -> None:
        """Let a call join, once its page was loaded.

        Raises:
            HTTPException: for another browser's page, one that was not loaded, and no handler.
        """
        if not self.of(request.scope, body.session_hash):
            raise HTTPException(403, OTHERS)
        told = blocks._queue.pending_messages_per_session.get(body.session_hash)
        if told is not None and told.qsize() >= UNHEARD:
            raise HTTPException(429, UNFETCHED, {"Retry-After": "5"})
        state: LightState = request.scope["app"].state_holder[body.session_hash]
        handler = blocks.fns.get(body.fn_index)
        if handler is None:
            raise HTTPException(404, NOTHING)
        if opens(handler):
            state.opened = True
        late = asyncio.get_running_loop().time() + OPENING
        while is_unknown(handler, state):
            if asyncio.get_running_loop().time() > late:
                raise HTTPException(404, UNKNOWN)
            await asyncio.sleep(_PAUSE)


def opens(handler: Any) -> bool:
    """Whether a handler is called as a page is loaded."""
    return _follows(handler, "load")


def is_unknown(handler: Any, state: Any) -> bool:
    """Whether a handler of the page is called on one that was not loaded, or was forgotten.

    What its states hold would be what they begin with, and an answer one of another gallery.
    """
    if handler.api_visibility == "public" or opens(handler) or _follows(handler, "unload"):
        return False
    return not getattr(state, "opened", False)


def _follows(handler: Any, event: str) -> bool:
    return any(name == event for _, name in handler.targets)


def _named(scope: Scope, body: bytes) -> list[str]:
    """The pages that a request names by its path, query or body, or by a call of theirs."""
    path, queue = path_of(scope), scope["app"].get_blocks()._queue
    if found := _HEARD.match(path):
        return [found[1]]
    if scope["method"] != "POST" and (found := _ANSWER.match(path)):
        return [_of_call(queue, found[1])]
    if _LISTENED.match(path):
        return parse_qs(scope["query_string"].decode("latin-1")).get("session_hash", [])
    if _TOLD.match(path):
        return _told(queue, body)
    return []


def _told(queue: Any, body: bytes) -> list[str]:
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return []
    told = told if isinstance(told, dict) else {}
    named = [told.get("session_hash"), _of_call(queue, told.get("event_id"))]
    return [name for name in named if isinstance(name, str)]


def _of_call(queue: Any, name: Any) -> Any:
    """The page of a call, as Gradio finds it; a name that is of no call is itself a page's."""
    if not isinstance(name, str):
        return name
    if (event := queue.event_ids_to_events.get(name)) is not None:
        return event.session_hash
    pending = queue.pending_event_ids_session.items()
    return next((page for page, calls in pending if name in calls), name)
