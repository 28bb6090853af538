"""Stopping long work from the page: a request that the work's own progress meets."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import gradio as gr
from gradio.context import Context

from app.common import reported, spoken
from core.values import Cancelled, Progress


def stop_button(elem_id: str, *, beside: bool = False) -> gr.Button:
    """A button that stops work, shown while it runs: on the result, or beside what started it."""
    if beside:
        return gr.Button("Stop", min_width=80, elem_id=elem_id, elem_classes="ws-stop-beside")
    return gr.Button("Stop", size="sm", min_width=0, elem_id=elem_id, elem_classes="ws-stop")


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
    with spoken():
        try:
            with stops.running(page, reported(progress)) as report:
                yield report
        except Cancelled as stopped:
            raise gr.Error(
                "Stopped. What was finished is kept; start again to go on.",
                title="Stopped",
                print_exception=False,
            ) from stopped
