"""Queries are made once, and again when what makes them has changed."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from demo import queries
from demo.queries import Plan, build
from demo.world import file_name, stream


@pytest.fixture
def gallery(tmp_path, monkeypatch):
    made = []

    def make(images, seed):
        made.append(seed)
        return images[0]

    monkeypatch.setattr(queries, "PLANS", (Plan("copied", make, 2),))
    (tmp_path / "images").mkdir()
    for number in stream(0, 7).permutation(queries.ELIGIBLE).tolist()[:2]:
        pixels = np.full((16, 16, 3), number, np.uint8)
        Image.fromarray(pixels).save(tmp_path / "images" / file_name(number))
    return tmp_path, made


def test_a_second_call_makes_nothing(gallery):
    folder, made = gallery
    build(folder)
    build(folder)
    assert made == [0, 1]


def test_a_query_that_is_listed_otherwise_is_made_again(gallery):
    """The list named the network of today beside images that another one had made."""
    folder, made = gallery
    build(folder)
    path = folder / "queries" / "queries.json"
    listed = json.loads(path.read_text())
    listed["queries"][1]["network"] = "dino@other weights"
    path.write_text(json.dumps(listed))
    build(folder)
    assert made == [0, 1, 1]
    assert "network" not in json.loads(path.read_text())["queries"][1]
