from __future__ import annotations

import re
from pathlib import Path

import pytest
from jinja2 import UndefinedError

from app.views import templates
from app.views.templates import render

ROOT = Path(templates.__file__).parents[2]
NAMES = sorted(path.stem for path in (ROOT / "assets" / "app").glob("*.html"))


def test_values_are_escaped():
    html = render("shares", rows=[("<b>", 0.5)])
    assert "&lt;b&gt;" in html
    assert "<b>" not in html


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(UndefinedError, match="rows"):
        render("shares")


@pytest.mark.parametrize("name", NAMES)
def test_every_template_is_used(name: str):
    places = [*(ROOT / "app").rglob("*.py"), *(ROOT / "assets" / "app").glob("*.html")]
    code = "\n".join(path.read_text(encoding="utf-8") for path in places)
    assert re.search(rf'"{name}(\.html)?"', code)
