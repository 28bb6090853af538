"""The report of a reverse look-up takes no text for markup and loads nothing."""

from __future__ import annotations

from dataclasses import replace

from core.report import Line, Pairs, Run, Sought, pairs_html
from core.service import Finding

HOSTILE = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>&\u202e"
RUN = Run("python -m core reverse FOLDER", "2026-01-01T00:00:00+00:00", {"prior": "0.5"})


def pairs(*sources: str) -> Pairs:
    finding = Finding(HOSTILE, "a.png", 7, 1.5, 0.004, 0.008, True, confidence=0.93)
    lines = [Line(finding, HOSTILE, name, "") for name in sources]
    sought = [Sought(name, HOSTILE, "data:image/webp;base64,AAAA") for name in sources]
    return Pairs(HOSTILE, (HOSTILE,), sought, lines)


def test_nothing_that_was_given_is_markup():
    html = pairs_html(pairs(HOSTILE), replace(RUN, refused={HOSTILE: HOSTILE}))
    assert "<script" not in html
    assert "onerror=alert(2)>" not in html
    assert "\u202e" not in html
    assert html.count("<img ") == 1
    assert "default-src 'none'" in html


def test_the_source_stands_in_each_line_where_there_are_several():
    one, two = pairs_html(pairs("a"), RUN), pairs_html(pairs("a", "b"), RUN)
    assert "<th>Source</th>" not in one
    assert "<th>Source</th>" in two
    assert "<td>b</td><td>" in two


def test_the_command_is_given_where_there_is_one():
    assert "<pre>python -m core reverse FOLDER</pre>" in pairs_html(pairs("a"), RUN)
    bare = pairs_html(pairs("a"), replace(RUN, command=""))
    assert "<pre>" not in bare
    assert "not all among the options" in bare
