from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from app.views import gallery as views_gallery
from core.gallery.shards import Skipped
from core.service import Change
from core.values import ImageRecord

ANN: Any = SimpleNamespace(session_hash="ann-visits")
BOB: Any = SimpleNamespace(session_hash="bob-visits")
QUIET: Any = lambda *_, **__: None  # noqa: E731 - stands for a progress bar


def record(number: int, **fields: Any) -> ImageRecord:
    size = {"width": 8 * (number + 1), "height": 8}
    return ImageRecord(number, f"{number}.png", "0" * 64, "0" * 16, **size, **fields)


def test_numbers_are_told_in_words() -> None:
    assert views_gallery.size(999) == "999 bytes"
    assert views_gallery.size(9_500_000) == "9.5 MB"
    assert views_gallery.size(2_000_000_000) == "2.0 GB"
    assert views_gallery.counted(["a", "b", "a", ""]) == "a (2), b (1), not given (1)"
    assert views_gallery.counted([""]) == ""
    assert views_gallery.sizes([record(2), record(0)]) == "8 x 8 to 24 x 8 pixels"


def test_names_from_files_are_no_markup() -> None:
    skipped = (Skipped("<img>[a](b)\n#x", "bad"),)
    said = views_gallery.change_words(Change(1, 1, 0, skipped))
    assert "<img>" not in said.replace("\\<", "")
    assert "\n#" not in said
