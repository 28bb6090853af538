from __future__ import annotations

import contextlib
import threading
from types import SimpleNamespace
from typing import Any

import gradio as gr
import pytest

from app.page.jobs import CAME, METER, Jobs, Stamped
from app.page.visitor import VISITOR, page_of, visitor_of
from core.values import Cancelled, GalleryError

ANN: Any = SimpleNamespace(session_hash="ann-visits")
BOB: Any = SimpleNamespace(session_hash="bob-visits")
QUIET: Any = lambda *_, **__: None  # noqa: E731 - stands for a progress bar


def test_a_stop_reaches_its_own_visitor_and_job_only():
    jobs = Jobs()
    with (
        pytest.raises(gr.Error, match="start again") as raised,
        jobs.run("a", ANN, QUIET) as report,
    ):
        jobs.stop("a", BOB)
        jobs.stop("b", ANN)
        report(0, 1, "goes on")
        thread = threading.Thread(target=jobs.stop, args=("a", ANN))
        thread.start()
        thread.join()
        report(1, 1, "ends")
    assert isinstance(raised.value.__cause__, Cancelled)
    assert raised.value.title == "Stopped"


def test_a_browser_is_one_visitor_and_each_page_has_its_own_jobs():
    """A page that was loaded anew had lost its galleries; one that is closed stops no other's."""
    scope = {VISITOR: "n" * 32}
    first, second, third = (
        SimpleNamespace(session_hash=page, request=SimpleNamespace(scope=each))
        for page, each in (("page-one", scope), ("page-two", scope), ("page-three", {}))
    )
    assert visitor_of(first) == visitor_of(second) == "n" * 32
    assert (page_of(first), page_of(second)) == ("page-one", "page-two")
    assert visitor_of(third) == "page-three"
    assert visitor_of(None) == ""


def test_work_stops_in_words_once_its_time_is_spent():
    """One long build could take more than an hour's seconds, and was charged when it had ended."""
    left, told = iter(["", "", "you have had your hour; try again in 6 minutes"]), list[int]()
    scope = {METER: lambda: next(left)}
    asker: Any = SimpleNamespace(session_hash="ann", request=SimpleNamespace(scope=scope))
    with (
        pytest.raises(gr.Error, match=r"your hour; try again in 6 minutes\. What was") as raised,
        Jobs().run("a", asker, QUIET, again="start again") as report,
    ):
        for number in range(10):
            report(number, 10, "goes on")
            told.append(number)
    assert (told, raised.value.title) == ([0, 1], "Stopped")
    assert isinstance(raised.value.__cause__, Cancelled)  # what was built is kept


def test_a_stop_without_a_job_stops_no_later_one():
    jobs = Jobs()
    jobs.stop("a", ANN)
    with jobs.run("a", ANN, QUIET) as report:
        report(0, 1, "goes on")


def test_a_stop_reaches_what_waits_in_the_queue_and_nothing_later():
    """Work that waited behind another's could not be stopped until it ran."""
    jobs = Jobs()

    def asked() -> Any:
        scope = {"type": "http"}
        seen: list[Any] = []

        async def app(scope: Any, receive: Any, send: Any) -> None:
            seen.append(scope)

        with contextlib.suppress(StopIteration):  # it waits for nothing
            Stamped(app)(scope, QUIET, QUIET).send(None)
        return SimpleNamespace(session_hash="ann-visits", request=SimpleNamespace(scope=seen[0]))

    waiting = asked()
    jobs.stop("b", ANN)
    with jobs.run("a", waiting, QUIET) as report:
        report(0, 1, "goes on")
    jobs.stop("a", ANN)
    later = asked()
    with pytest.raises(gr.Error, match="start again") as raised, jobs.run("a", waiting, QUIET):
        pytest.fail("it began")
    assert isinstance(raised.value.__cause__, Cancelled)
    with jobs.run("a", later, QUIET) as report:
        report(0, 1, "goes on")


def test_what_was_asked_last_is_known_in_whatever_order_it_ends():
    jobs = Jobs()

    def asked(page: str, came: float) -> Any:
        scope = {CAME: came}
        return SimpleNamespace(session_hash=page, request=SimpleNamespace(scope=scope))

    second = jobs.latest("a", asked("ann", 2.0))
    first = jobs.latest("a", asked("ann", 1.0))
    others = jobs.latest("b", asked("ann", 0.5)), jobs.latest("a", asked("bob", 0.5))
    assert [second(), first(), *(each() for each in others)] == [True, False, True, True]
    third = jobs.latest("a", asked("ann", 3.0))
    assert [second(), third()] == [False, True]
    jobs.stop_all(asked("ann", 4.0))
    assert jobs.latest("a", asked("ann", 1.0))()


def test_a_page_that_is_closed_stops_all_its_jobs():
    jobs = Jobs()
    with (
        jobs.run("a", BOB, QUIET) as others,
        pytest.raises(gr.Error),
        jobs.run("b", ANN, QUIET) as own,
    ):
        jobs.stop_all(ANN)
        others(0, 1, "goes on")
        own(0, 1, "ends")


def test_errors_of_the_core_are_shown_and_others_are_logged(caplog: pytest.LogCaptureFixture):
    jobs = Jobs()
    with pytest.raises(gr.Error, match="gone"), jobs.run("a", ANN, QUIET):
        raise GalleryError("the gallery is gone")
    with pytest.raises(gr.Error, match="fault of the program") as raised, jobs.run("a", ANN, QUIET):
        raise FileNotFoundError("/srv/secret")
    assert "secret" not in str(raised.value)
    assert "/srv/secret" in caplog.text


def test_progress_is_shown_as_steps_where_there_are_several_and_always_has_a_bar():
    """Gradio takes the words away where no bar is, and with them the page took away the stop."""
    said: list[Any] = []
    progress: Any = lambda steps, desc: said.append((steps, desc))  # noqa: E731
    with Jobs().run("a", ANN, progress) as report:
        report(0, 1, "opening")
        report(3, 8, "reading")
    assert said == [(0.0, "opening"), ((3, 8), "reading")]
