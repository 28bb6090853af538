"""Trials of the self-test are kept, gone on with, and counted against their bars."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmarks.evidence import selftest
from benchmarks.evidence.selftest import (
    Asked,
    Case,
    Cases,
    failures,
    measure,
    merged,
    row_of,
    share,
)
from core.gallery.build import update
from core.gallery.source import Source
from core.service.choice import Choice
from core.service.session import Session
from tests.core.pictures import picture, save_pictures

CASE = Case("blend", 0.5, "a.png", found=True, first=True, false=False, thumbnail=True, seconds=1.0)


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = save_pictures(tmp_path_factory.mktemp("world"), 60)
    session = Session()
    encoders = [session.encoder(name) for name in ("histogram", "thumbnail")]
    update(folder / "gallery", Source(folder), encoders)
    return folder / "gallery"


@pytest.fixture
def photos(tmp_path: Path) -> dict[int, Path]:
    (tmp_path / "photos").mkdir()
    found = {seed: tmp_path / "photos" / f"{seed}.png" for seed in (500, 501)}
    for seed, file in found.items():
        picture(seed).save(file)
    return found


def test_what_was_measured_is_not_made_again(
    gallery: Path, photos: dict[int, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        selftest, "Choice", lambda encoder: Choice(encoder, "center", gallery=str(gallery))
    )
    asked = Asked(Session(), tmp_path / "photos", encoder="histogram")
    path = tmp_path / "kept.jsonl"
    one = {500: photos[500]}
    before = measure(asked, Cases(path), "blend", 0.0, one)
    assert [case.file for case in before] == ["500.png"]
    assert before[0].first
    made, make = list[int](), asked.case

    def noted(*what: Any, seed: int) -> Case:
        made.append(seed)
        return make(*what, seed=seed)

    monkeypatch.setattr(asked, "case", noted)
    both = measure(asked, Cases(path), "blend", 0.0, photos)
    assert both[:1] == before
    assert made == [501]
    measure(asked, Cases(path), "blend", 1.0, one)
    assert made == [501, 500]


def test_a_line_that_a_stop_cut_short_costs_that_case_alone(tmp_path: Path) -> None:
    path = tmp_path / "kept.jsonl"
    for name in ("a.png", "b.png"):
        Cases(path).add(replace(CASE, file=name))
    path.write_text(path.read_text()[:-20])
    kept = Cases(path)
    assert kept.get("blend", 0.5, "a.png") == CASE
    assert kept.get("blend", 0.5, "b.png") is None
    kept.add(replace(CASE, file="c.png"))
    assert Cases(path).get("blend", 0.5, "c.png") == replace(CASE, file="c.png")


def test_every_bar_is_held_to() -> None:
    row = row_of([replace(CASE, file=f"{i}", found=i < 9, thumbnail=i < 5) for i in range(10)])
    assert (row.images, row.found, row.thumbnail, row.seconds) == (10, 9, 5, 1.0)
    assert failures(row) == []
    assert failures(replace(row, way="patches")) == ["traced"]
    missed = replace(row, found=8, false=1, thumbnail=4, seconds=11.0)
    assert failures(missed) == ["traced", "false", "thumbnail", "seconds"]


def test_rows_stay_beside_new_ones_of_the_same_code_alone() -> None:
    row = row_of([CASE])
    more, other = replace(row, images=9), replace(row, way="patches")
    known = {"key": "k", "rows": [vars(more), vars(other)]}
    assert merged(known, [row], key="k") == [other, more]
    assert merged(known, [row], key="l") == [row]
    assert merged(None, [row], key="k") == [row]


def test_the_interval_is_the_exact_one() -> None:
    assert share(20, 20) == "1.00 [0.83, 1.00]"  # 1 - .025 ** (1 / 20) = .168
    assert share(0, 100) == "0.00 [0.00, 0.04]"
