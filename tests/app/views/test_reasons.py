from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from app.views import reasons
from core.report import words
from core.values import Alignment, Aspect, Grid, Group, LevelParts
from tests.app import made
from tests.app.made import GRID, explanation, grey, group

EDGES = "Matching edges"


def test_overlay_colours_the_hot_patch_and_spares_the_cold():
    heat = np.array([0, 0, 0, 1.0], np.float32)
    pixels = np.asarray(reasons.overlay(grey(), heat, grid=GRID, limit=1.0, signed=False), np.int64)
    spread = np.ptp(pixels, axis=-1)
    assert spread[-1, -1] > 60  # a colour
    assert spread[0, 0] < 8  # grey stays grey


def test_signed_overlay_tells_for_from_against():
    heat = np.array([1.0, 0, 0, -1.0], np.float32)
    pixels = np.asarray(reasons.overlay(grey(), heat, grid=GRID, limit=1.0, signed=True), np.int64)
    assert pixels[0, 0, 2] > pixels[0, 0, 0]  # teal: more blue than red
    assert pixels[-1, -1, 0] > pixels[-1, -1, 2]  # brown: more red than blue


def test_overlay_follows_the_grid_row_by_row():
    heat = np.array([0, 0, 1.0, 0, 0, 0], np.float32)  # first row, third column
    shown = reasons.overlay(grey(96), heat, grid=Grid(2, 3), limit=1.0, signed=False)
    spread = np.ptp(np.asarray(shown, np.int64), axis=-1)
    assert np.unravel_index(spread.argmax(), spread.shape)[0] < 48
    assert np.unravel_index(spread.argmax(), spread.shape)[1] >= 64


def test_overlay_without_any_evidence_shows_the_image():
    shown = reasons.overlay(grey(), np.zeros(4, np.float32), grid=GRID, limit=0.0, signed=False)
    assert np.ptp(np.asarray(shown)) == 0


def judged(**p_values: float) -> Group:
    """A group that stands out so far in places, edges and the subject."""
    names = {"places": words.PLACES, "edges": made.EDGES.view, "subject": "subject"}
    aspects = tuple(Aspect(names[name], value) for name, value in p_values.items())
    return replace(group(1, influence=0.9), aspects=aspects)


def test_readings_follow_what_the_explanation_has():
    sure = judged(places=0.01, edges=0.01, subject=0.01)
    assert reasons.readings(explanation(), sure, level=0.05) == [
        reasons.MATCHING,
        reasons.PARTS,
        EDGES,
        reasons.PLAIN,
    ]
    assert reasons.readings(explanation(space=False), sure, level=0.05) == [reasons.PLAIN]


def test_a_level_that_stands_out_has_heat_of_its_own():
    levels = tuple(
        LevelParts(name, np.full(4, part, np.float32), np.full(4, part, np.float32))
        for name, part in (("pattern", 0.01), ("subject", 0.2))
    )
    found = replace(explanation(), level_parts=levels)
    sure = judged(places=0.3, subject=0.01)
    subject = reasons.reading_of_level(levels[1])
    assert reasons.readings(found, sure, level=0.05) == [reasons.PARTS, subject, reasons.PLAIN]
    html = reasons.pair_html(found, (grey(), grey()), reading=subject)
    assert "What subject adds to the cosine, 0.80" in html
    assert html != reasons.pair_html(found, (grey(), grey()), reading=reasons.PARTS)


def test_what_is_no_better_than_chance_is_not_drawn():
    """Heat and links were drawn between images that have nothing to do with one another."""
    only = judged(places=0.3, edges=0.01, subject=0.9)
    assert reasons.readings(explanation(), only, level=0.05) == [EDGES, reasons.PLAIN]
    noise = judged(places=0.3, edges=0.2, subject=0.9)
    assert reasons.readings(explanation(), noise, level=0.05) == [reasons.PLAIN]
    assert reasons.readings(explanation(), None, level=0.05) == [reasons.PLAIN]
    html = reasons.pair_html(explanation(), (grey(), grey()), reading=reasons.PLAIN, noise=True)
    assert "no" in html.lower() and "better than chance" in html
    assert "<circle" not in html


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_registered_source_is_laid_over_the_query(mirrored: bool):
    laid = Alignment(scale=(0.5, 0.8), shift=(0.25, -0.1), mirrored=mirrored)
    found = replace(explanation(), alignment=laid)
    html = reasons.pair_html(found, (grey(), grey()), reading=reasons.PLAIN)
    turned = "scaleX(-1) " if mirrored else ""
    assert f"transform:{turned}translate(6.250%, -25.000%) scale(1.2500, 2.0000)" in html
    assert "laid where its pixels agree" in html
    plain = reasons.pair_html(explanation(), (grey(), grey()), reading=reasons.PLAIN)
    assert 'class="laid"' not in plain
    assert "centre on centre" in plain


@pytest.mark.parametrize(
    "reading",
    [reasons.MATCHING, reasons.PARTS, EDGES, reasons.PLAIN],
)
def test_pair_shows_two_images_with_alternative_texts(reading: str):
    html = reasons.pair_html(explanation(), (grey(), grey(900)), reading=reading)
    alts = re.findall(r'alt="([^"]+)"', html)
    assert [alt.split(",")[0] for alt in alts] == ["Your image", "Hills"]
    assert html.count("data:image/webp;base64,") == 4  # each side by side and in the wipe
    assert ("Cosine of the edges 1.00." in html) == (reading == EDGES)


def test_a_picture_that_is_shown_smaller_than_it_is_says_so():
    """It could be zoomed to 12 times its size without a word that nothing more comes."""
    small, large = ((grey(), grey(side)) for side in (900, 2000))
    told = "at most 1,280 pixels a side"
    assert told in reasons.pair_html(explanation(), large, reading=reasons.PLAIN)
    assert told not in reasons.pair_html(explanation(), small, reading=reasons.PLAIN)


def test_links_are_numbered_on_both_images_and_under_that_reading_alone():
    html = reasons.pair_html(
        explanation(), (grey(), Image.new("RGB", (80, 40))), reading=reasons.MATCHING
    )
    assert html.count(">1</text>") == 2
    places = re.findall(
        r'viewBox="0 0 ([\d.]+) ([\d.]+)".*?cx="([\d.]+)" cy="([\d.]+)"', html, re.DOTALL
    )
    assert places == [("100.00", "100.00", "75.00", "75.00"), ("100.00", "50.00", "75.00", "37.50")]
    plain = reasons.pair_html(explanation(), (grey(), grey()), reading=reasons.PARTS)
    assert "<circle" not in plain
