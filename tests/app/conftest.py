"""What the tests of the app share: one small gallery and one session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.ui import build, launch_options
from core.service import Session
from tests.app import tiny


@pytest.fixture(scope="session")
def gallery_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny.make(tmp_path_factory.mktemp("app"))


@pytest.fixture(scope="session")
def session() -> Session:
    return Session()


@pytest.fixture
def picture(gallery_folder: Path) -> Path:
    """A picture that the gallery holds."""
    return gallery_folder.parent / "images" / f"{tiny.NAMES[0]}.png"


@pytest.fixture(scope="module")
def url(session: Session, gallery_folder: Path) -> Iterator[str]:
    """Address of the app over that gallery."""
    blocks = build(session, gallery=str(gallery_folder))
    _, address, _ = blocks.launch(prevent_thread_lock=True, quiet=True, **launch_options())
    yield address
    blocks.close()
