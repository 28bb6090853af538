"""A server that has started waits for nothing that its first visitor would wait for."""

from __future__ import annotations

from pathlib import Path

from app.page.warm import warm_up
from core.service import Choice, Session


class Noted(Session):
    """A session that notes what it was asked."""

    def __init__(self, *, on_zerogpu: bool) -> None:
        super().__init__()
        self.on_zerogpu = on_zerogpu
        self.opened: list[Choice] = []
        self.answered = 0

    def workspace(self, choice, **more):
        self.opened.append(choice)
        return super().workspace(choice, **more)

    def attribute(self, image, choice=None, **more):
        self.answered += 1
        return super().attribute(image, choice, **more)


def test_the_gallery_is_opened_and_an_image_is_answered(gallery_folder: Path):
    session = Noted(on_zerogpu=False)
    warming = warm_up(session, gallery=str(gallery_folder), encoder="histogram")
    warming.join()
    assert warming.why == ""
    assert session.opened[0] == Choice("histogram", gallery=str(gallery_folder))
    assert session.answered == 1


def test_nothing_is_encoded_where_a_gpu_is_lent(gallery_folder: Path):
    session = Noted(on_zerogpu=True)
    warm_up(session, gallery=str(gallery_folder), encoder="histogram").join()
    assert (len(session.opened), session.answered) == (1, 0)


def test_a_gallery_that_cannot_be_opened_stops_no_server(tmp_path: Path):
    warming = warm_up(Session(), gallery=str(tmp_path), encoder=None)
    warming.join()
    assert "cannot be opened" in warming.why
    assert str(tmp_path) not in warming.why
