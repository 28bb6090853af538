from __future__ import annotations

import re
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markupsafe import escape

from app.views import answer as views
from app.views import matches as lists
from app.views import reasons
from core.report import conclusion, words
from core.service import OPEN_DATASETS
from core.values import (
    Answer,
    Explanation,
    ImageRecord,
    Match,
    Roles,
    Scale,
    Surroundings,
)
from tests.app.made import answer, explanation, grey, group, record, untold


def test_headline_names_the_only_source_with_its_confidence():
    found = answer(group(1, influence=0.9, title="Hills"), none=0.1)
    assert views.headline(found) == "Candidate source, very likely: Hills."


def test_headline_counts_several_sources():
    found = answer(group(1, influence=0.5), group(2, influence=0.3), none=0.2)
    assert views.headline(found) == "2 candidate sources, very likely: image-1; image-2."


def test_headline_of_an_answer_that_names_nobody_lists_the_runner_up():
    """The best of near-equal candidates was put forward as the source."""
    one, other = group(1, influence=0.9, title="Hills"), group(2, influence=0.0, title="Lake")
    found = answer(one, other, group(3, influence=0.0), none=0.1, named=False)
    assert views.headline(found) == "One of these is very likely a source: Hills; Lake."
    both = answer(one, group(2, influence=0.05, title="Lake"), none=0.05, named=False)
    assert views.headline(both).startswith(
        "One or more of these are very likely sources: Hills; Lake"
    )


def test_headline_says_none_without_a_number():
    weak = group(1, influence=0.0, confidence=0.3)
    found = answer(weak, none=1.0, named=False, prior=0.1, p_value=0.3)
    assert views.headline(found) == (
        "None of these images stands out as a source at a prior of 10 %."
    )


def test_an_answer_is_copied_as_text_without_paths():
    scale = Scale(0.0, 2.0)
    found = answer(group(1, influence=0.9, title='"Hills" & <b>'), none=0.1, scale=scale)
    text = views.answer_text(found)
    assert text.startswith("Candidate source, very likely")
    assert '1. "Hills" & <b>; score 50 of 100; share of influence 90 %' in text
    assert "None of these: 10 %" in text
    assert "Gallery g@1, encoder e@1, head h@1" in text
    assert "folder/" not in text
    assert f'data-text="{escape(text)}"' in views.answer_html(found)


def test_after_none_the_page_says_why_and_what_to_do_next():
    around = Surroundings(800, "rendered still lifes", 0.1, 0.6, 1.0)
    weak = group(1, influence=0.0)
    none = answer(weak, none=1.0, named=False, p_value=0.3, surroundings=around)
    html = views.answer_html(none)
    assert "This gallery holds 800 rendered still lifes. Yours is a picture of another kind" in html
    for step in ("Test it on your own picture", "Build a gallery", "Open a public dataset"):
        assert step in html
    for each in OPEN_DATASETS:
        assert f'data-name="{each.name}"' in html
        assert each.licence in html
    found = views.answer_html(answer(group(1, influence=0.9), none=0.1, surroundings=around))
    assert "data-go" not in found
    assert "This gallery holds" not in found


@given(
    influences=st.lists(st.floats(0, 1), min_size=1, max_size=8),
    confidence=st.floats(0, 1),
    p_value=st.floats(1e-4, 1),
    named=st.booleans(),
)
@settings(deadline=None)
def test_every_number_is_shown_once_and_none_is_never_all(
    influences: list[float], confidence: float, p_value: float, named: bool
):
    """ "25 %" stood beside "None of these 100 %", and a confidence twice in two roundings."""
    total = max(sum(influences), 1.0)
    shares = [x / total for x in influences]
    groups = [group(i, influence=x, confidence=confidence) for i, x in enumerate(shares)]
    none = 1.0 - sum(shares)
    found = answer(*groups, none=max(none, 0.0), named=named, p_value=p_value)
    html = re.sub(r"<details.*?</details>", "", views.answer_html(found), flags=re.DOTALL)
    text = re.sub(r"<[^>]+>", " ", re.sub(r'(title|aria-label|style)="[^"]*"', "", html))
    numbers = re.findall(r"(?:over |under )?[\d.]+ %", text)
    parts = len(re.findall(r"<li><i class", html))
    assert len(numbers) == parts  # one for each part of the bar, and no other
    if not conclusion.sources(found.groups):
        assert numbers == []


def test_a_gallery_too_small_for_any_p_value_claims_nothing():
    """Its bar said "None of these 100 %", and a lone image had a confidence of over 99 %."""
    found = untold(group(1, influence=0.0))
    assert "too few different images" in views.headline(found)
    assert words.odds(found) == (
        "That takes 19 images, near-duplicates counted once; there are 12."
    )
    html = views.answer_html(found)
    shown = re.sub(r"<details.*?</details>", "", html, flags=re.DOTALL)
    assert words.odds(found) in shown, "what is missing was folded away"
    assert html.count(words.odds(found)) == 1 + views.answer_text(found).count(words.odds(found))
    assert "%" not in html.replace("at a prior of 50 %", "")
    assert "tone-none" not in html
    assert views.captions(found) == ["1 · cosine 0.83\nimage-1"]
    assert "holds no candidate" in views.headline(answer(none=1.0))


def test_reading_tells_of_the_prior_and_of_shift():
    html = views.answer_html(answer(group(1, influence=0.9), none=0.1, prior=0.2))
    assert "at a prior of 20 %" in html
    assert "another generator" in html


def test_bar_of_shares_is_full_and_ends_with_none():
    groups = [group(i, influence=0.12) for i in range(7)]
    html = views.answer_html(answer(*groups, none=0.16))
    widths = [float(width) for width in re.findall(r"width:([\d.]+)%", html)]
    assert len(widths) == 6  # four sources, the others together, none
    assert sum(widths) == pytest.approx(100, abs=0.05)
    assert "3 more candidates" in html
    assert html.index("tone-5") < html.index("tone-none")


def test_the_page_tells_the_same_shares_everywhere_and_they_add_up():
    """Those of a mixture added up to 101 %."""
    groups = [group(1, influence=0.336), group(2, influence=0.336), group(3, influence=0.207)]
    found = answer(*groups, none=0.121)
    legend = re.findall(r"<b>(\d+) %</b>", views.answer_html(found))
    assert legend == ["34", "33", "21", "12"]
    copied = views.answer_text(found)
    captions = "".join(views.captions(found))
    for share in legend[:3]:
        assert f"share of influence {share} %" in copied
        assert f"influence {share}\N{NO-BREAK SPACE}%" in captions
    assert "None of these: 12 %" in copied
    table = views.shares_html({"Ada": 0.44, "": 0.225, "Ben": 0.214}, found)
    assert re.findall(r"<td>(\d+) %</td>", table) == ["44", "23", "21", "12"]


def test_a_copied_answer_without_a_source_claims_no_share():
    """Each of its closest images had a share of 0 %, which the page does not say either."""
    weak = group(1, influence=0.0, confidence=0.3, title="Hills")
    text = views.answer_text(answer(weak, none=1.0, named=False, p_value=0.3))
    assert "1. Hills" in text
    assert "share of influence" not in text


def test_what_many_were_asked_for_is_told_where_it_is_unusual():
    told = views.settings_words
    assert told("MoCo", "", where=None, prior=0.5) == "By MoCo."
    assert told("MoCo", "head: none", where="licence = CC0", prior=0.2) == (
        "By MoCo, head: none, only images with licence = CC0, prior 20 %."
    )


def test_captions_carry_rank_cosine_share_and_title():
    found = answer(group(1, influence=0.41, title="Hills"), group(2, influence=0.0), none=0.59)
    first, second = views.captions(found)
    assert first == "1 · cosine 0.83\ninfluence 41\N{NO-BREAK SPACE}%\nHills"
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
        views.answer_html(answer(group(1, influence=0.9, title=EVIL), none=0.1)),
        reasons.pair_html(
            Explanation(**{**vars(explanation()), "match": record(title=EVIL)}),
            (grey(), grey()),
            reading=reasons.MATCHING,
        ),
        lists.matches_html(answer(group(1, influence=0.9, title=EVIL), none=0.1), [""]),
    ]
    for html in shown:
        assert "<img src=x" not in html
        assert "&lt;img src=x" in html


@pytest.mark.parametrize(
    "url", ["javascript:alert(1)", "data:text/html,x", "file:///etc/passwd", "http://["]
)
def test_only_web_addresses_become_links(url: str):
    """An address that cannot be parsed ended in an error."""
    assert "<a " not in views.record_html(record(url=url))


def test_web_address_becomes_a_link():
    html = views.record_html(record(url="https://example.org/a"))
    assert '<a href="https://example.org/a"' in html
    assert "noopener" in html


def test_record_shows_known_facts_only():
    html = views.record_html(record(licence="CC0"))
    assert "CC0" in html
    assert "Creator" not in html


def test_who_gave_structure_and_appearance_is_one_line_of_the_answer_and_of_its_copy():
    one, two = group(1, influence=0.9, title="Hills & sky"), group(2, influence=0.0, title="Fire")
    found = replace(answer(one, two, none=0.1), roles=Roles(1, 2, 0.01, 0.05))
    told = "Its structure is nearest to Hills {} sky, its appearance to Fire: of images without"
    assert told.format("&amp;") in views.answer_html(found)
    assert told.format("&") in views.answer_text(found)
    assert "structure is" not in views.answer_html(answer(one, two, none=0.1))
