"""The list has one number for each match, and says what is a source and what is only close."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from app.views import matches as lists
from core.values import Answer, Aspect, Group, Match, Roles, Scale
from tests.app.made import answer, group, record


def scored(i: int, *, score: float, influence: float = 0.0, p_value: float = 0.004) -> Group:
    one = group(i, influence=influence, title=f"image {i}")
    aspects = (Aspect("subject", 0.004), Aspect("edges", 0.5), Aspect("all together", 0.01))
    best = replace(one.best, score=score)
    return replace(one, best=best, p_value=p_value, aspects=aspects)


def listed(found: Answer) -> str:
    return lists.matches_html(found, ["data:image/webp;base64,AA=="] * len(found.matches))


def test_sources_come_first_then_what_is_too_weak_then_the_others():
    groups = [
        scored(1, score=2.0, influence=0.9),
        scored(2, score=0.5, p_value=0.14),
        scored(3, score=1.0, p_value=0.9),
    ]
    found = answer(*groups, none=0.1, scale=Scale(0.0, 4.0))
    shuffled = replace(found, matches=(groups[0].best, groups[2].best, groups[1].best))
    html = listed(shuffled)
    assert re.findall(r'data-row="(\d)"', html) == ["0", "2", "1"]
    assert re.findall(r'ws-points">(\d+)<', html) == ["50", "12", "25"]
    assert html.index("too weak to count") < html.index("Also close")
    assert html.count('aria-selected="true"') == 1


def test_a_match_that_is_no_likelier_than_chance_is_no_perhaps():
    groups = [scored(1, score=2.0, influence=0.9), scored(2, score=0.5, p_value=0.9)]
    assert "too weak" not in listed(answer(*groups, none=0.1, scale=Scale(0.0, 4.0)))


def test_without_a_source_the_list_is_of_the_closest_images():
    weak = scored(1, score=0.2)
    html = listed(answer(weak, none=1.0, named=False, p_value=0.5, scale=Scale(0.0, 4.0)))
    assert "Closest images" in html
    assert "Candidate" not in html
    assert 'aria-label="subject strong, edges weak"' in html, "every real picture lacked its bars"
    assert "Bars: how far each stands out" in html
    bare = replace(weak, aspects=())
    html = listed(answer(bare, none=1.0, named=False, p_value=0.5, scale=Scale(0.0, 4.0)))
    assert "Closest images, by score" in html
    assert "Bars" not in html, "bars were explained where none is drawn"


def test_bars_say_in_words_how_far_a_match_stands_out():
    html = listed(answer(scored(1, score=2.0, influence=0.9), none=0.1, scale=Scale(0.0, 4.0)))
    assert 'aria-label="subject strong, edges weak"' in html
    assert "all together" not in html


def test_rows_tell_by_how_much_less_they_score_where_there_is_a_scale():
    groups = [scored(1, score=2.0, influence=0.9), scored(2, score=1.0)]
    html = listed(answer(*groups, none=0.1, scale=Scale(0.0, 4.0)))
    assert re.findall(r'data-gap="([\d.]+)"', html) == ["0.0000", "0.2500"]
    assert "data-sets" in html
    assert "a longer list than this page has" in html
    assert "data-sets" not in listed(answer(*groups, none=0.1))


def test_near_duplicates_are_pointed_out():
    one = scored(1, score=2.0, influence=0.9)
    twin = Match(record(5), cosine=0.8, score=0.9, group=1)
    both = replace(answer(one, none=0.1), matches=(one.best, twin))
    assert listed(both).count("near-duplicate of one above") == 1
    assert lists.group_of(both, 5) == one


@pytest.mark.parametrize("there", [True, False])
def test_a_picture_that_is_gone_leaves_its_place(tmp_path: Path, there: bool):
    file = tmp_path / f"{there}.webp"
    if there:
        Image.new("RGB", (300, 200), "teal").save(file)
    assert lists.picture_of(file).startswith("data:image/webp") == there


def test_images_that_are_nearest_in_a_role_say_so_and_their_copies_do_not():
    groups = [scored(1, score=2.0, influence=0.9), scored(2, score=0.5), scored(3, score=0.4)]
    bare = answer(*groups, none=0.1)
    twin = replace(groups[1].best, image=record(7))
    found = replace(bare, matches=(*bare.matches, twin), roles=Roles(1, 2, 0.01, 0.04))
    html = listed(found)
    said = '<small class="ws-nearest"><span class="ws-unseen">Nearest in </span>'
    told = [part.partition("<")[0] for part in html.split(said)[1:]]
    assert told == ["structure", "appearance"]
    assert html.index("image 1<") < html.index(said) < html.index("image 2<")
    assert html.count("Nearest in") == 2
    assert "Nearest in" not in listed(bare)
