"""Cases are made of what a session gives, whatever is left of the gallery's files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from core.encoders.baselines import BASELINES
from core.gallery.build import update
from core.gallery.source import Source
from core.report import report_html
from core.report.cases import Run, case_of
from core.service.choice import Choice
from core.service.session import Session


@pytest.mark.slow
def test_an_image_of_which_nothing_is_left_has_no_drawing(photos: Path, tmp_path: Path) -> None:
    """One lost thumbnail kept a whole report from being written."""
    shutil.copy(photos / "01.png", tmp_path / "query.png")
    update(tmp_path / "g", Source(photos), [BASELINES["thumbnail"]()])
    choice, session = Choice("thumbnail", gallery=str(tmp_path / "g")), Session()
    gallery = session.gallery(choice.gallery)
    answer = session.attribute(tmp_path / "query.png", choice)
    first = answer.groups[0].best.image
    whole = case_of(session, tmp_path / "query.png", answer=answer, choice=choice)
    assert first.id in whole.sources
    (photos / first.path).unlink()
    gallery.store.thumbnail(first.sha256).unlink()
    found = case_of(session, tmp_path / "query.png", answer=answer, choice=choice)
    assert set(found.sources) == set(whole.sources) - {first.id}
    assert [e.match.id for e in found.explanations] == list(found.sources)
    page = report_html([found], Run("python -m core", "2026-01-01T00:00:00+00:00", {}))
    assert first.path in page
