"""Every feature that the comparison with peers claims is shown by a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.quality.study import stored

PAGE = Path(__file__).parents[2] / "docs" / "peers.md"
ROWS = [row.split(" | ") for row in PAGE.read_text().splitlines() if row.startswith("| ")]
CLAIM = re.compile(r"\]\(\.\./(tests/[\w/]+\.py) \"(\w+)\"\)")
CLAIMS = CLAIM.findall(PAGE.read_text())


@pytest.mark.parametrize(("file", "name"), CLAIMS, ids=lambda part: part)
def test_a_claim_is_shown_by_a_test(file: str, name: str) -> None:
    assert f"def {name}(" in (PAGE.parents[1] / file).read_text()


def test_every_row_has_a_cell_for_every_peer_and_every_cell_of_ours_a_test() -> None:
    """A number led to a page of results, in which it was not."""
    assert CLAIMS
    for row in ROWS[1:]:
        assert len(row) == 7, row[0]
        assert row[1] == "no" or CLAIM.search(row[1]), f"{row[0]} names no test"


def test_the_largest_gallery_is_the_one_that_was_measured() -> None:
    """Known pairs were searched for among so many."""
    measured = stored("gallery_size")
    assert measured is not None
    (row,) = (row for row in ROWS if row[0] == "| Images it has been shown with")
    assert row[1].startswith(f"[{measured['images']:,}]")


def test_the_licence_is_the_one_that_comes_with_it() -> None:
    assert "Apache License" in (PAGE.parents[1] / "LICENSE").read_text()
    assert 'license = "Apache-2.0"' in (PAGE.parents[1] / "pyproject.toml").read_text()
