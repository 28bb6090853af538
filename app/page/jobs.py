"""Long work: who it is for, its progress on the page, and how it is stopped."""

from __future__ import annotations

import contextlib
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator

import gradio as gr
from gradio.context import Context
from starlette.types import ASGIApp, Receive, Scope, Send

from app.page.errors import STOPPED, user_error, user_errors
from app.page.visitor import page_of, scope_of
from core.values import Cancelled, Progress

PROGRESS = gr.Progress()
"""Default of a handler's ``progress``; Gradio passes the event's own in its place."""


METER = "wellspring.meter"
"""Key of a request's scope: where a call pays, while it works, for the time that it takes."""

Meter = Callable[[], str]
"""Charges the time since it was last called; why the work must stop, or the empty text."""


class Spent(Cancelled):
    """Stopped, since whoever asked has no time left; what was finished is kept."""


class Stamped:
    """Middleware that notes when a request came, so that a stop reaches what still waits for it."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on with its time."""
        await self.app({**scope, CAME: time.monotonic()}, receive, send)


CAME = "wellspring.came"
"""Key of a request's scope: when it came, by the monotonic clock."""


def _came(request: gr.Request | None) -> float:
    """When a request came; one without a time comes now."""
    return scope_of(request).get(CAME, time.monotonic())


def _free() -> str:
    """The meter of a call that nobody counts."""
    return ""


def _go_on(stopped: threading.Event, meter: Meter) -> None:
    """Raise what ends a job that was stopped, or whose time is spent."""
    if stopped.is_set():
        raise Cancelled("stopped")
    if why := meter():
        raise Spent(why)


def _told(stop: Cancelled, again: str) -> gr.Error:
    """What the page says of a stop."""
    why = f": {stop}" if isinstance(stop, Spent) else ""
    return user_error(f"Stopped{why}. What was finished is kept; {again}.", title=STOPPED)


class Jobs:
    """Long work under way, by page and by name.

    Whatever takes long runs inside :meth:`run` and calls the progress that it gets there. That is
    where the page shows how far it is, and where a stop takes effect.
    """

    def __init__(self) -> None:
        self._running: defaultdict[tuple[str, str], set[threading.Event]] = defaultdict(set)
        self._stops: dict[tuple[str, str], float] = {}  # when each was last stopped
        self._asked: dict[tuple[str, str], float] = {}  # when each came that was asked last
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def run(
        self,
        name: str,
        request: gr.Request | None,
        progress: gr.Progress = PROGRESS,
        *,
        again: str = "start again to go on",
    ) -> Iterator[Progress]:
        """Progress for a job, which raises ``Cancelled`` once the job was stopped, waiting or not.

        It raises it too once the time is spent that a hosted server gives to whoever asked.

        Args:
            name: what stops it: the name of its tab.
            request: whose it is.
            progress: the page's own.
            again: what to do to go on after a stop, for the person who stopped it.

        Raises:
            gr.Error: when the job was stopped or failed, in words.
        """
        stopped, key = threading.Event(), (page_of(request), name)
        meter: Meter = scope_of(request).get(METER, _free)

        def report(done: int, total: int, what: str) -> None:
            _go_on(stopped, meter)
            # of one step too: by none Gradio would take away the words, and with them the stop
            progress((done, total) if total > 1 else float(done), desc=what)

        with self._lock:
            if self._stops.get(key, 0) > _came(request):
                stopped.set()
            self._running[key].add(stopped)
        try:
            with user_errors():
                if stopped.is_set():
                    raise Cancelled("stopped before it began")
                yield report
        except gr.Error as error:
            if isinstance(error.__cause__, Cancelled):
                raise _told(error.__cause__, again) from error.__cause__
            raise
        finally:
            with self._lock:
                self._running[key].discard(stopped)
                if not self._running[key]:
                    del self._running[key]

    def latest(self, name: str, request: gr.Request | None) -> Callable[[], bool]:
        """Note that something is asked; what comes back tells whether it is still what came last.

        A page may ask twice at nearly the same time, and answers may come in another order: what is
        not the last one's is not shown.
        """
        key, came = (page_of(request), name), _came(request)
        with self._lock:
            self._asked[key] = max(came, self._asked.get(key, came))

        def is_last() -> bool:
            with self._lock:
                return came >= self._asked.get(key, came)

        return is_last

    def stop(self, name: str, request: gr.Request | None) -> None:
        """Stop a page's jobs of a name; they end when they next report progress, or begin."""
        key = (page_of(request), name)
        with self._lock:
            self._stops[key] = time.monotonic()
            for stopped in self._running.get(key, ()):
                stopped.set()

    def stop_all(self, request: gr.Request) -> None:
        """Stop all jobs of a page."""
        page = page_of(request)
        with self._lock:
            for times in (self._stops, self._asked):
                for key in [key for key in times if key[0] == page]:
                    del times[key]
            for (whose, _), jobs in self._running.items():
                for stopped in jobs if whose == page else ():
                    stopped.set()

    def stop_when_left(self) -> None:
        """Stop a page's jobs when it is closed; called inside its Blocks."""
        if Context.root_block is not None:
            Context.root_block.unload(self.stop_all)
