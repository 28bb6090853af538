"""Work for a page: who asks, its progress, its errors for people, and how it is stopped."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import gradio as gr
from gradio.context import Context

from core.values import Cancelled, Progress, WellspringError


def visitor_of(request: gr.Request | None) -> str:
    """Who asks, as the session knows visitors; a server of one's own does not look at it."""
    return (request.session_hash if request is not None else None) or ""


@contextlib.contextmanager
def user_errors() -> Iterator[None]:
    """Errors written for people, shown to them."""
    try:
        yield
    except WellspringError as error:
        raise gr.Error(str(error), title="That did not work", print_exception=False) from error


def reported(progress: gr.Progress) -> Progress:
    """The core's progress, shown on the page."""

    def report(done: int, total: int, what: str) -> None:
        progress((done, total) if total > 1 else None, desc=what)

    return report


class Stops:
    """Work under way by page; a page that is closed stops its work."""

    def __init__(self) -> None:
        self._asked: dict[str, list[threading.Event]] = {}
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def running(self, page: str, progress: Progress) -> Iterator[Progress]:
        """Progress that raises ``Cancelled`` once :meth:`stop` was called for the page."""
        asked = threading.Event()

        def report(done: int, total: int, what: str) -> None:
            if asked.is_set():
                raise Cancelled("stopped")
            progress(done, total, what)

        with self._lock:
            self._asked.setdefault(page, []).append(asked)
        try:
            yield report
        finally:
            with self._lock:
                self._asked[page].remove(asked)
                if not self._asked[page]:
                    del self._asked[page]

    def stop(self, page: str) -> bool:
        """Ask the page's work to stop; whether there was any."""
        with self._lock:
            for asked in (found := self._asked.get(page, [])):
                asked.set()
            return bool(found)

    def stop_asked(self, request: gr.Request) -> None:
        """:meth:`stop`, for a button or the page's end."""
        self.stop(request.session_hash or "")

    def stop_when_left(self) -> None:
        """Stop a page's work when it is closed; called inside its Blocks."""
        if Context.root_block is not None:
            Context.root_block.unload(self.stop_asked)


@contextlib.contextmanager
def stoppable(
    stops: Stops, request: gr.Request | None, progress: gr.Progress
) -> Iterator[Progress]:
    """Progress of work that its page can stop; errors are shown to people, a stop as no failure."""
    page = (request.session_hash if request is not None else None) or ""
    with user_errors():
        try:
            with stops.running(page, reported(progress)) as report:
                yield report
        except Cancelled as stopped:
            raise gr.Error(
                "Stopped. What was finished is kept; start again to go on.",
                title="Stopped",
                print_exception=False,
            ) from stopped
