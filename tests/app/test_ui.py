from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from app.page.lines import ANSWER, BUILD, MEASURE
from app.ui import build
from core.config import ServerConfig
from core.service import Session
from core.values import GalleryError


def test_page_is_built_before_any_model_is_loaded(
    gallery_folder: Path, monkeypatch: pytest.MonkeyPatch
):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a model was loaded")

    monkeypatch.setattr("core.service.opening.load_encoder", refuse)
    assert build(Session(), gallery=str(gallery_folder)).get_config_file()["components"]


def test_calls_are_not_summed_up_after_each_of_them(gallery_folder: Path):
    """After 10,000 calls each one more took a fifth of a second of pandas, in every process."""
    queue = build(Session(), gallery=str(gallery_folder))._queue
    queue.events_recorded = 9
    assert queue.compute_analytics_summary([{"function": "a"}]) == {"functions": {}}


def test_uploads_go_with_the_time_of_a_visit(gallery_folder: Path):
    """They stayed for an hour or two, however short the time without use was."""
    session = Session(server=ServerConfig(session_seconds=60))
    assert build(session, gallery=str(gallery_folder)).delete_cache == (60, 60)


def test_unknown_encoder_is_refused_with_those_there_are(gallery_folder: Path):
    with pytest.raises(GalleryError, match=r"moco.*random, histogram"):
        build(Session(), gallery=str(gallery_folder), encoder="moco")


def test_missing_gallery_is_refused(tmp_path: Path):
    with pytest.raises(GalleryError, match="not a gallery"):
        build(Session(), gallery=str(tmp_path))


def test_thumbnails_are_served_and_nothing_beside_them(url: str, gallery_folder: Path):
    thumbnail = next((gallery_folder / "thumbnails").glob("*/*.webp"))
    assert httpx.get(f"{url}gradio_api/file={thumbnail}").status_code == 200
    for path in (gallery_folder / "gallery.json", Path(__file__)):
        assert httpx.get(f"{url}gradio_api/file={path}").status_code == 403


def test_page_names_no_other_host(url: str):
    page = httpx.get(url).text
    for host in ("googleapis", "gstatic", "cdnjs", "unpkg", "jsdelivr"):
        assert host not in page


def test_no_answer_waits_behind_long_work(gallery_folder: Path):
    """Two galleries that were built held both turns, and every answer of a server waited."""
    blocks = build(Session(), gallery=str(gallery_folder))
    lines: dict[str, set[str]] = {}
    for handler in blocks.fns.values():
        tab = getattr(handler.fn, "__module__", "").removeprefix("app.").removeprefix("tabs.")
        called = f"{tab.partition('.')[0]}.{getattr(handler.fn, '__name__', '')}"
        lines.setdefault(called, set()).add(str(handler.concurrency_id))
    assert lines["attribute.search"] == lines["api.attribute"] == lines["compare.search"]
    assert lines["attribute.search"] == {ANSWER}
    for work in ("gallery.build", "gallery.add", "attribute.run"):  # several, reverse, tests
        assert lines[work] == {BUILD}
    for look in ("disentanglement.measure", "map.draw", "gallery.verify", "api.factors"):
        assert lines[look] == {MEASURE}


def test_the_page_moves_before_long_work_begins(gallery_folder: Path):
    """The page waits for each listener of an event: on a phone the progress stayed out of sight."""
    calls = build(Session(), gallery=str(gallery_folder)).get_config_file()["dependencies"]
    works: dict[tuple[int, str], int] = {}
    moves: dict[tuple[int, str], int] = {}
    for place, call in enumerate(calls):
        for target in map(tuple, call["targets"]):
            if target[1] == "click" and call["backend_fn"]:
                works.setdefault(target, place)
            if "wellspring.show(" in str(call["js"]):
                moves[target] = place
    both = works.keys() & moves.keys()
    assert len(both) >= 2
    assert all(moves[target] < works[target] for target in both)


def test_progress_is_kept_for_few_components(gallery_folder: Path):
    """The page kept it for every output of every event, and a click took seconds of its thread."""
    blocks = build(Session(), gallery=str(gallery_folder))
    shown = {"hidden": 0, "minimal": 1, "full": 2}  # on how many components at most
    for handler in blocks.fns.values():
        if handler.fn and handler.api_visibility == "private":
            on = handler.show_progress_on
            kept = handler.outputs if on is None else on
            assert len(kept) <= shown[handler.show_progress], handler.name
