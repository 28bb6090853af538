"""Every feature that the comparison with peers claims is shown by a test that is there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "peers.md"
ROWS = [row.split(" | ") for row in PAGE.read_text().splitlines() if row.startswith("| ")]
CLAIMS = re.findall(r"\]\(\.\./(tests/[\w/]+\.py) \"(\w+)\"\)", PAGE.read_text())


@pytest.mark.parametrize(("file", "name"), CLAIMS, ids=lambda part: part)
def test_a_claim_is_shown_by_a_test(file: str, name: str) -> None:
    assert f"def {name}(" in (PAGE.parents[1] / file).read_text()


def test_every_row_has_a_cell_for_every_peer_and_every_yes_of_ours_a_test() -> None:
    assert CLAIMS
    for row in ROWS:
        assert len(row) == 7, row[0]
        assert row[1] != "yes", f"{row[0]} names no test"
