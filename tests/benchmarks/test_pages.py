from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.pages import write_table


def test_a_table_is_written_and_all_else_of_its_page_stays(tmp_path: Path):
    """What came after the next table of the page was lost."""
    page = tmp_path / "page.md"
    both = "before\n<!-- table: make {} -->\nold\n<!-- end of table -->\nbetween\n"
    page.write_text(both.format("a") + both.format("b") + "after\n", encoding="utf-8")
    write_table(page, "new\n", command="make a")
    assert page.read_text(encoding="utf-8") == (
        both.format("a").replace("old", "new") + both.format("b") + "after\n"
    )


def test_a_page_without_a_place_is_refused(tmp_path: Path):
    page = tmp_path / "page.md"
    page.write_text("nothing\n", encoding="utf-8")
    with pytest.raises(ValueError, match="unpack"):
        write_table(page, "new\n", command="make a")
    assert page.read_text(encoding="utf-8") == "nothing\n"
