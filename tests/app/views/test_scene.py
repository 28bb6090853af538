from __future__ import annotations

import pytest

from app.views.scene import Scene, colourings, group
from tests.app.views.records import record


def test_columns_that_name_every_image_are_no_colouring():
    records = tuple(record(i, extra={"seed": str(i), "kind": "ab"[i % 2]}) for i in range(9))
    keys = [key for _, key in colourings(Scene(records, ()))]
    assert "factor:kind" in keys
    assert "factor:seed" not in keys
    with pytest.raises(ValueError, match="cannot be coloured"):
        group(Scene(records, ()), "factor:seed")
