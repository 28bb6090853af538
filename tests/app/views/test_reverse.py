from __future__ import annotations

import csv
import io

import pytest

from app.views.reverse import Lookup, foretold, lookup_csv, lookup_html
from core.service import Finding


def finding(name: str, *, named: bool, p_value: float = 0.01) -> Finding:
    return Finding(name, "source.png", 7, 1.5, p_value, 2 * p_value, named)


def lookup(*findings: Finding, given: int | None = None, null_size: int = 800) -> Lookup:
    problems = (("=bad.jpg", "no image"),)
    return Lookup(findings, problems, given or len(findings) + 1, 0.05, null_size)


def test_table_counts_the_named_and_escapes():
    html = lookup_html(lookup(finding("<b>.png", named=True), finding("b.png", named=False)))
    assert "Candidate source of 1 of 3 images" in html
    assert "&lt;b&gt;.<wbr>png" in html
    assert "<b>" not in html
    assert "no image" in html
    assert "5 % are expected to be wrong at most" in html
    assert "copied" not in html


def test_a_stopped_look_up_says_how_far_it_came():
    html = lookup_html(lookup(finding("b.png", named=False, p_value=0.4), given=40))
    assert "Candidate source of none of 2 of 40 images" in html
    assert ">Not told from chance 1</button>" in html, "the filter was called Not"


def alone(count: int, *, among: int, null_size: int) -> str:
    """What is said where some stand out as far as the gallery can tell, and none is named."""
    least = 1 / (null_size + 1)
    findings = [
        Finding(f"{i}.png", "s", 7, 1.5, least if i < count else 0.9, among * least, named=False)
        for i in range(among)
    ]
    return lookup_html(Lookup(tuple(findings), (), among, 0.05, null_size))


def test_what_stands_out_is_said_where_too_few_images_allow_no_name():
    """The headline said "candidate source of none" of images that are named one by one."""
    html = alone(2, among=150, null_size=800)
    assert "2 of 150 images stand out, too few images here to name them at 5 %" in html
    assert html.count("Stands out by itself, not named") == 2
    assert "1 of 90 images stands out, too few images here to name it" in alone(
        1, among=90, null_size=800
    )


def test_where_more_images_would_not_help_chance_is_said():
    findings = [finding("a.png", named=False, p_value=0.04)] * 2
    html = lookup_html(Lookup(tuple(findings), (), 2, 0.05, 800))
    assert "2 of 2 images stand out, but may be chance among so many at 5 %" in html


@pytest.mark.parametrize(
    ("given", "images", "rate", "said"),
    [
        (40, 800, 0.05, ""),
        (41, 800, 0.05, "unless at least 2 of them stand out; a lone one can be named among 40"),
        (200, 800, 0.05, "none of 200 is named at 5 % unless at least 5"),
        (1, 24, 0.01, "At 1 % nothing can be named here: that takes 99 images"),
        (0, 24, 0.05, ""),
        (10, 19, 0.05, "unless at least 10 of them"),
    ],
)
def test_what_a_gallery_is_too_small_for_is_told_before(
    given: int, images: int, rate: float, said: str
):
    told = foretold(given, images=images, rate=rate)
    assert said in told
    assert bool(told) == bool(said)


@pytest.mark.parametrize(("null_size", "warned"), [(800, False), (38, True)])
def test_too_many_images_for_the_null_are_told(null_size: int, warned: bool):
    found = [finding(f"{i}.png", named=False) for i in range(2)]
    html = lookup_html(lookup(*found, null_size=null_size))
    assert ("a lone one can be named among 1 at most" in html) == warned


def test_csv_has_every_pair_and_no_formula():
    text = lookup_csv(lookup(finding("a.png", named=True)))
    first, second = csv.DictReader(io.StringIO(text))
    assert (first["generated"], first["image_id"], first["named"]) == ("a.png", "7", "yes")
    assert (first["p_value"], first["p_adjusted"]) == ("0.01", "0.02")
    assert (second["generated"], second["problem"]) == ("'=bad.jpg", "no image")


def test_a_gallery_that_cannot_tell_has_no_p_value_in_the_table():
    """P-values stood in the table of a gallery too small for any to reach the level."""
    bare = [Finding(f"{name}.png", "source.png", 7, 1.5, None, None, False) for name in "ab"]
    found = Lookup(tuple(bare), (), given=2, rate=0.05, null_size=12)
    html = lookup_html(found)
    assert "too few different images" in html
    assert "That takes 19 images, near-duplicates counted once; there are 12." in html
    assert "%" not in html
    assert 'data-label="p =" data-key=""></td>' in html
    for row in csv.DictReader(io.StringIO(lookup_csv(found))):
        assert (row["p_value"], row["p_adjusted"], row["named"]) == ("", "", "no")


def test_a_negative_score_is_a_number_in_the_table():
    """Negative scores began with an apostrophe, as if they were formulas."""
    bare = Finding("a.png", "source.png", 7, -0.25, 0.5, 0.5, False)
    found = Lookup((bare,), (), given=1, rate=0.05, null_size=800)
    (row,) = csv.DictReader(io.StringIO(lookup_csv(found)))
    assert row["score"] == "-0.25"
