from __future__ import annotations

import re

import numpy as np
import pytest
from PIL import Image

from app import views
from core.values import (
    Answer,
    Contribution,
    Explanation,
    Grid,
    Group,
    ImageRecord,
    Match,
    RegionMatch,
)

GRID = Grid(2, 2)


def record(i: int = 0, **values: str) -> ImageRecord:
    return ImageRecord(i, f"folder/image-{i}.png", "0" * 64, "0" * 16, 40, 30, **values)


def group(i: int, *, influence: float, confidence: float = 0.9, title: str = "") -> Group:
    best = Match(record(i, title=title), cosine=0.834, score=1.0, group=i)
    return Group(i, (i,), best, p_value=0.004, confidence=confidence, influence=influence)


def answer(*groups: Group, none: float) -> Answer:
    matches = tuple(group.best for group in groups)
    names = {"encoder": "e@1", "head": "h@1", "gallery": "g@1", "null_id": "n"}
    return Answer("a sentence", matches, groups, none, p_value=0.004, **names)


def explanation(*, space: bool = True) -> Explanation:
    parts = (Contribution(7, 0.5, 0.625), Contribution(3, -0.2, -0.25), Contribution(1, 0.1, 0.125))
    heat = np.array([0, 0, 0, 2.0], np.float32)
    pairs, strengths = np.array([[3, 3]]), np.array([0.5], np.float32)
    regions = RegionMatch(GRID, GRID, heat, heat, pairs, strengths)
    signed = np.array([-0.2, 0, 0.2, 0.8], np.float32)
    if not space:
        return Explanation(record(), 0.8, parts, None, None, None, None)
    return Explanation(record(title="Hills"), 0.8, parts, GRID, signed, signed, regions)


def grey(side: int = 64) -> Image.Image:
    return Image.new("RGB", (side, side), (128, 128, 128))


def test_headline_names_the_only_source_with_its_confidence():
    found = answer(group(1, influence=0.9, title="Hills"), none=0.1)
    assert views.headline(found, size=5) == "Candidate source: Hills, with 90 % confidence."


def test_headline_counts_several_sources():
    found = answer(group(1, influence=0.5), group(2, influence=0.3), none=0.2)
    assert (
        views.headline(found, size=5) == "2 candidate sources, first image-1 with 90 % confidence."
    )


def test_headline_says_none_when_nobody_has_a_share():
    found = answer(group(1, influence=0.0, confidence=0.3), none=1.0)
    assert views.headline(found, size=5) == "None of the 5 images stands out as a source."


@pytest.mark.parametrize(
    ("share", "words"),
    [(0, "0 %"), (0.004, "under 1 %"), (0.41, "41 %"), (0.996, "over 99 %"), (1, "100 %")],
)
def test_percent_never_rounds_to_certainty(share: float, words: str):
    assert views.percent(share) == words


@pytest.mark.parametrize(
    ("p_value", "words"), [(0.002, "about 1 in 500 score"), (0.29, "about 29 % score")]
)
def test_odds_say_the_p_value_in_words(p_value: float, words: str):
    assert words in views.odds(p_value)


@pytest.mark.parametrize("p_value", [0.0, -0.1, 1.1])
def test_odds_refuse_what_is_no_p_value(p_value: float):
    with pytest.raises(ValueError, match="p_value"):
        views.odds(p_value)


def test_bar_of_shares_is_full_and_ends_with_none():
    groups = [group(i, influence=0.12) for i in range(7)]
    html = views.answer_html(answer(*groups, none=0.16), size=9)
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", html)]
    assert len(widths) == 6  # four sources, the others together, none
    assert sum(widths) == pytest.approx(100, abs=0.05)
    assert "3 more candidates" in html
    assert html.index("tone-5") < html.index("tone-none")


def test_captions_carry_rank_cosine_share_and_title():
    found = answer(group(1, influence=0.41, title="Hills"), group(2, influence=0.0), none=0.59)
    first, second = views.captions(found)
    assert first == "1 · cosine 0.83\ninfluence 41 %\nHills"
    assert second == "2 · cosine 0.83\nimage-2"


def test_captions_point_out_near_duplicates():
    one = group(1, influence=0.41)
    twin = Match(record(5), cosine=0.8, score=0.9, group=1)
    both = Answer(**{**vars(answer(one, none=0.59)), "matches": (one.best, twin)})
    assert "\nnear-duplicate of one above\n" in views.captions(both)[1]


EVIL = '<img src=x onerror="alert(1)">'


def test_no_value_reaches_the_page_as_html():
    texts = {
        "title": EVIL,
        "creator": EVIL,
        "licence": EVIL,
        "source": EVIL,
        "url": f'https://x.org/{EVIL}"',
    }
    shown = [
        views.record_html(ImageRecord(**{**vars(record(**texts)), "extra": {EVIL: EVIL}})),
        views.answer_html(answer(group(1, influence=0.9, title=EVIL), none=0.1), size=1),
        views.pair_html(
            Explanation(**{**vars(explanation()), "match": record(title=EVIL)}),
            (grey(), grey()),
            reading=views.MATCHING,
        ),
    ]
    for html in shown:
        assert "<img src=x" not in html
        assert "&lt;img src=x" in html


@pytest.mark.parametrize("url", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd"])
def test_only_web_addresses_become_links(url: str):
    assert "<a " not in views.record_html(record(url=url))


def test_web_address_becomes_a_link():
    html = views.record_html(record(url="https://example.org/a"))
    assert '<a href="https://example.org/a"' in html
    assert "noopener" in html


def test_record_shows_known_facts_only():
    html = views.record_html(record(licence="CC0"))
    assert "CC0" in html
    assert "Creator" not in html


def test_overlay_colours_the_hot_patch_and_spares_the_cold():
    heat = np.array([0, 0, 0, 1.0], np.float32)
    pixels = np.asarray(views.overlay(grey(), heat, grid=GRID, limit=1.0, signed=False), np.int64)
    spread = np.ptp(pixels, axis=-1)
    assert spread[-1, -1] > 60  # a colour
    assert spread[0, 0] < 8  # grey stays grey


def test_signed_overlay_tells_for_from_against():
    heat = np.array([1.0, 0, 0, -1.0], np.float32)
    pixels = np.asarray(views.overlay(grey(), heat, grid=GRID, limit=1.0, signed=True), np.int64)
    assert pixels[0, 0, 2] > pixels[0, 0, 0]  # teal: more blue than red
    assert pixels[-1, -1, 0] > pixels[-1, -1, 2]  # brown: more red than blue


def test_overlay_follows_the_grid_row_by_row():
    heat = np.array([0, 0, 1.0, 0, 0, 0], np.float32)  # first row, third column
    shown = views.overlay(grey(96), heat, grid=Grid(2, 3), limit=1.0, signed=False)
    spread = np.ptp(np.asarray(shown, np.int64), axis=-1)
    assert np.unravel_index(spread.argmax(), spread.shape)[0] < 48
    assert np.unravel_index(spread.argmax(), spread.shape)[1] >= 64


def test_overlay_without_any_evidence_shows_the_image():
    shown = views.overlay(grey(), np.zeros(4, np.float32), grid=GRID, limit=0.0, signed=False)
    assert np.ptp(np.asarray(shown)) == 0


def test_readings_follow_what_the_explanation_has():
    assert views.readings(explanation()) == [views.MATCHING, views.PARTS, views.PLAIN]
    assert views.readings(explanation(space=False)) == [views.PLAIN]


@pytest.mark.parametrize("reading", [views.MATCHING, views.PARTS, views.PLAIN])
def test_pair_shows_two_images_with_alternative_texts(reading: str):
    html = views.pair_html(explanation(), (grey(), grey(900)), reading=reading)
    alts = re.findall(r'alt="([^"]+)"', html)
    assert [alt.split(",")[0] for alt in alts] == ["Your image", "Hills"]
    assert html.count("data:image/webp;base64,") == 2


def test_bars_are_signed_and_in_order():
    figure = views.contribution_bars(explanation(), count=2)
    assert list(figure.data[0].x) == [0.5, -0.2]
    assert list(figure.data[0].y) == ["dim 7", "dim 3"]
    first, second = figure.data[0].marker.color
    assert first != second
    assert figure.layout.paper_bgcolor == "rgba(0,0,0,0)"


def test_contribution_words_add_up_to_the_cosine():
    words = views.contribution_words(explanation(), count=2)
    cosine, total, rest = (float(x) for x in re.findall(r"[+-]?\d\.\d+", words))
    assert (cosine, total) == (0.8, 0.3)
    assert total + rest == pytest.approx(cosine)


def test_dimension_choices_carry_numbers():
    assert views.dimension_choices(explanation(), count=1) == [("Dimension 7 (+0.500)", 7)]
