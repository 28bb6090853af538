"""Every call of a handler or endpoint: counted, timed, logged, and within its client's time."""

from __future__ import annotations

import json
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import gradio as gr

from app.guard.clients import CLIENT, short
from app.guard.limits import Limits
from app.guard.logs import EVENTS, event
from app.guard.meter import Meter
from app.guard.metrics import Metrics
from app.guard.pages import OTHERS, UNKNOWN, Pages, is_unknown
from app.page.errors import FAULT, STOPPED, user_error
from app.page.fetch import NO_WEB
from app.page.jobs import METER
from app.page.lines import is_long
from app.page.visitor import scope_of

_FAULT = "The program has a fault, or what was sent does not fit; reload the page."
_WEB = ("http://", "https://")
_Process = Callable[..., Awaitable[dict[str, Any]]]


class Calls:
    """Watches the calls of an app; on a hosted server it refuses some and logs all."""

    def __init__(self, limits: Limits, metrics: Metrics, pages: Pages) -> None:
        self.limits, self.metrics, self.pages = limits, metrics, pages
        self.hosted = limits.server.hosted

    def watch(self, blocks: gr.Blocks) -> None:
        """Pass every call of an app through :meth:`call`."""
        process = blocks.process_api

        async def watched(block_fn: Any, inputs: list[Any], *rest: Any, **more: Any) -> Any:
            return await self.call(process, block_fn, inputs, *rest, **more)

        vars(blocks)["process_api"] = watched

    async def call(
        self, process: _Process, handler: Any, inputs: list[Any], *rest: Any, **more: Any
    ) -> dict[str, Any]:
        """What a handler gives.

        Raises:
            gr.Error: when it refused or failed; on a hosted server also in place of an error whose
                words may name a file.
        """
        began, outcome = time.monotonic(), "ok"
        scope = scope_of(more.get("request"))
        client = scope.get(CLIENT, "")
        meter = Meter(self.limits, client) if self.hosted else None
        try:
            self._look_at_page(handler, scope, **more)
            if self.hosted:
                self._admit(handler, inputs, client)
                scope[METER] = meter
            return await process(handler, inputs, *rest, **more)
        except gr.Error as error:
            outcome = {STOPPED: "stopped", FAULT: "fault"}.get(error.title, "refused")
            error.print_exception = error.print_exception and not self.hosted
            raise
        except Exception as error:
            outcome = "fault"
            if not self.hosted:
                raise
            EVENTS.error("fault", exc_info=error)
            raise user_error(_FAULT, title=FAULT) from None
        except BaseException:
            outcome = "left"
            raise
        finally:
            if meter is not None:
                meter.charge()
            name = handler.api_name if handler.api_visibility == "public" else handler.name
            self._note(str(name), outcome, time.monotonic() - began, client)

    def _note(self, name: str, outcome: str, seconds: float, client: str) -> None:
        self.metrics.calls.labels(name, outcome).inc()
        self.metrics.seconds.labels(name).observe(seconds)
        if self.hosted:
            took = round(seconds, 3)
            event("call", name=name, outcome=outcome, seconds=took, client=short(client))

    def _look_at_page(self, handler: Any, scope: Any, **more: Any) -> None:
        """Refuse a call on a page that is another's, or was forgotten while the call waited.

        Raises:
            gr.Error: when it does.
        """
        page = more.get("session_hash")
        if page is not None and "app" in scope and not self.pages.of(scope, page):
            raise user_error(OTHERS)
        if is_unknown(handler, more.get("state")):
            raise user_error(UNKNOWN)

    def _admit(self, handler: Any, inputs: list[Any], client: str) -> None:
        """Refuse what would take more than is allowed, or make the server ask another one.

        Raises:
            gr.Error: when it does.
        """
        if any(str(each.get("path")).startswith(_WEB) for each in _objects(inputs)):
            raise user_error(NO_WEB)
        if not is_long(handler):
            return
        refused = self.limits.long_work(client)
        if refused is not None:
            self.metrics.refused.labels(refused.limit).inc()
            raise user_error(refused.words)


def names_file(body: bytes) -> bool:
    """Whether a message to the tools names a file, which their client would read on the server.

    It uploads what an object with ``path`` and ``meta`` names before any component judges it.
    """
    try:
        return any({"path", "meta"} <= each.keys() for each in _objects(json.loads(body)))
    except ValueError:
        return False  # no JSON: the tools say so
    except RecursionError:
        return True


def _objects(given: Any) -> Iterator[dict[str, Any]]:
    """All objects inside what a client sent."""
    if isinstance(given, dict):
        yield given
        given = list(given.values())
    for each in given if isinstance(given, list) else ():
        yield from _objects(each)
