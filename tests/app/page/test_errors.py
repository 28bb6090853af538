"""Words of failures, as the page shows them."""

from __future__ import annotations

import pytest

from app.page.errors import as_text, user_error


@pytest.mark.parametrize("text", ['<a href="https://b">c</a>', "<img src=x>", "<!-- x", "</p>"])
def test_a_notice_shows_no_html(text: str):
    """A link's filter put another site's link into the words of the page."""
    shown = str(user_error(f"none of 3 images has creator {text}"))
    assert "&lt;" in shown and "<" not in shown.replace("&lt;", "")


def test_other_words_stay():
    assert as_text("p < 0.05 & 3 <= 4") == "p < 0.05 & 3 <= 4"
