"""Records of gallery images that the tests of views share."""

from __future__ import annotations

from typing import Any

from core.values import ImageRecord


def record(number: int, **fields: Any) -> ImageRecord:
    return ImageRecord(number, f"a/{number}.png", "0" * 64, "0" * 16, 8, 8, **fields)
