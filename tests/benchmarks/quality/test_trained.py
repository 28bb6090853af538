"""Which pairs the trained networks and their start are compared on, and the rows by generator."""

from __future__ import annotations

import numpy as np

from benchmarks.quality import rivals, robustness, study, tables, trained
from core.measures.retrieval import Pair

PAIRS = [
    Pair("consingan_lsun", "SinGAN", ("a",), "1"),
    Pair("nano_banana", "Gemini 2.5 Flash Image", ("b",), "2"),
    Pair("splice_dogs: structure", "Splice", ("c",), "3", ("d",)),
    Pair("splice_dogs: appearance", "Splice", ("d",), "3", ("c",)),
    Pair("ddpm_inversion", "PnP", ("e",), "4"),
    Pair("painterly: background", "Deep Painterly Harmonization", ("f",), "5"),
    Pair("pix2pixzero_cat", "pix2pix-zero", ("g",), "6"),
]


def members(groups):
    return {name: [i for i, p in enumerate(PAIRS) if member(p)] for name, member in groups.items()}


def test_all_edits_are_those_of_both_sets_without_the_single_image_generators():
    found = members(trained.groups(PAIRS))
    assert found[trained.EVERY] == [1, 2, 3, 4, 5, 6]
    assert found["nano_banana"] == [1]
    assert found["splice: structure"] == [2]
    assert found["splice: appearance"] == [3]
    assert found["edits by inversion"] == [4]


def test_generators_are_told_apart_by_role():
    assert members(rivals.by_generator(PAIRS)) == {
        "Deep Painterly Harmonization: background": [5],
        "Gemini 2.5 Flash Image": [1],
        "PnP": [4],
        "SinGAN": [0],
        "Splice: appearance": [3],
        "Splice: structure": [2],
        "pix2pix-zero": [6],
    }


def test_edits_are_held_to_no_bar_of_degraded_images():
    found = robustness.groups(PAIRS[:2])
    assert [found[robustness.GENERATORS](pair) for pair in PAIRS[:2]] == [True, False]
    assert [found[robustness.EDITS](pair) for pair in PAIRS[:2]] == [False, True]
    assert all(found["all"](pair) for pair in PAIRS[:2])


def test_a_row_shows_the_measures_of_both_halves_and_of_one():
    half = PAIRS[1].half
    values = {"x": np.array([[1.0, 1, 1, 1]] * 3), "y": np.zeros((3, 4))}
    edits = [PAIRS[1]] * 3
    cells = study.cells(
        edits, values, groups={"edits": lambda _: True}, parts=(*study.HALVES, "both")
    )
    other = next(name for name in study.HALVES if name != half)
    wanted = [("both", "R@1"), (half, "R@10"), (other, "R@1")]
    assert tables.by_source(cells, wanted, column="x").splitlines() == [
        f"|  | R@1 | R@10, {half} | R@1, {other} | queries (exemplar sets) |",
        "|---|---|---|---|---|",
        "| edits | 1.000 [1.000, 1.000] | 1.000 [1.000, 1.000] |  | 3 (1) |",
    ]
