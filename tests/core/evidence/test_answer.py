"""An answer names what is in the query, shares it out whole, and accuses nobody."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.config import AnswerConfig, ScoreConfig, ViewConfig
from core.encoders.descriptors import quantize
from core.evidence.answer import answer, stands_out_elsewhere
from core.evidence.null import aspects_of, margins_of
from core.evidence.outcomes import sentence
from core.search.engine import Among
from core.values import ImageRecord
from tests.core import made

N, D = 50, 64
CONFIG = AnswerConfig()


def _unit(rows):
    return (rows / np.linalg.norm(rows, axis=-1, keepdims=True)).astype(np.float32)


EMBEDDINGS = _unit(np.random.default_rng(0).standard_normal((N, D)))
RECORDS = [ImageRecord(100 + i, f"photos/{i}.jpg", str(i), "0" * 16, 9, 9) for i in range(N)]
MARGINS, LEADS = (np.random.default_rng(s).uniform(0, w, 500) for s, w in ((1, 0.15), (2, 0.12)))
NULL = made.null(MARGINS, LEADS)


def _ask(query, *, groups=None, top=N, null=NULL, embeddings=EMBEDDINGS, records=RECORDS, **more):
    config = ScoreConfig(local_scaling=False)
    world = made.collection(embeddings, groups=groups, records=records, config=config)
    asked = made.query(_unit(query), **more)
    ranking = world.rank(asked, k=len(embeddings))
    return answer(asked, ranking, world, null=null, config=CONFIG, top=top)


def _unrelated():
    """A query that is orthogonal to the whole gallery."""
    rest = np.random.default_rng(2).standard_normal(D)
    basis = np.linalg.qr(EMBEDDINGS.T.astype(np.float64))[0]
    return rest - basis @ (basis.T @ rest)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    sources=st.integers(0, 5),
    noise=st.floats(0.01, 2.0),
    top=st.sampled_from([1, 3, N]),
)
@pytest.mark.slow
def test_shares_of_all_groups_and_of_none_sum_to_one(seed, sources, noise, top):
    rng = np.random.default_rng(seed)
    query = EMBEDDINGS[:sources].sum(0) + noise * rng.standard_normal(D) / np.sqrt(D)
    groups = rng.integers(0, 2, N).cumsum()
    first = np.unique(groups, return_index=True)[1]
    found = _ask(query, groups=first[groups - groups[0]], top=top)
    shares = [group.influence for group in found.groups]
    assert sum(shares) + found.none == pytest.approx(1, abs=1e-6)
    assert min(*shares, found.none) >= 0
    assert all(group.confidence > 0.5 for group in found.groups if group.influence > 0)
    shown = {match.group for match in found.matches}
    assert shown <= {group.id for group in found.groups}
    unseen = [group for group in found.groups if group.id not in shown]
    assert sum(group.influence == 0 for group in unseen) <= 1
    assert len(found.matches) == top


def test_a_query_unlike_the_gallery_comes_from_none_of_it():
    found = _ask(_unrelated())
    assert found.none == 1
    assert found.p_value > 0.5
    assert all(group.influence == 0 for group in found.groups)
    assert sentence(found).startswith("None of these")


def test_a_gallery_image_finds_itself_first_and_takes_almost_all():
    found = _ask(EMBEDDINGS[17])
    assert found.matches[0].image.id == 117
    assert found.matches[0].cosine == pytest.approx(1, abs=1e-5)
    assert found.groups[0].influence > 0.9
    assert found.p_value == pytest.approx(1 / 501)
    assert "photos/17.jpg" in sentence(found)
    assert "1 candidate" not in sentence(found)


@pytest.mark.parametrize(("likely", "is_source"), [(0.993, True), (0.995, False)])
def test_what_is_less_likely_than_a_source_has_to_be_is_none(likely, is_source):
    """Five hundred images bear out odds of 167, a confidence of .994."""
    world = made.collection(EMBEDDINGS, records=RECORDS, config=ScoreConfig(local_scaling=False))
    asked = made.query(EMBEDDINGS[17])
    config = replace(CONFIG, likely=likely)
    found = answer(asked, world.rank(asked, k=N), world, null=NULL, config=config, top=N)
    assert bool(found.groups[0].influence) == is_source
    assert (found.none == 1) != is_source


def test_two_planted_sources_are_both_named_and_shared_by_their_weights():
    query = 2 * EMBEDDINGS[3] + 1.5 * EMBEDDINGS[40] + 0.3 * _unit(_unrelated())
    found = _ask(query)
    shares = {group.id: group.influence for group in found.groups if group.influence > 0.02}
    assert set(shares) == {103, 140}
    assert shares[103] / shares[140] == pytest.approx(2 / 1.5, rel=0.1)
    assert found.none < 0.1
    assert all(group.confidence > 0.95 for group in found.groups[:2])


def test_a_weak_second_source_comes_before_what_resembles_the_first():
    """By score alone a look-alike of the first source hides the second one."""
    axes = np.eye(D, dtype=np.float32)
    others = _unit(np.random.default_rng(7).standard_normal((40, D)) * (np.arange(D) > 3))
    look_alike = 0.5 * axes[0] + 0.87 * axes[2]
    embeddings = np.stack([axes[0], look_alike, axes[1], *others]).astype(np.float32)
    null = made.null(np.random.default_rng(0).exponential(0.17, 500))
    found = _ask(0.95 * axes[0] + 0.25 * axes[1], embeddings=embeddings, null=null, top=40)
    assert [match.image.id for match in found.matches[:3]] == [100, 101, 102]
    assert [group.id for group in found.groups[:3]] == [100, 102, 101]
    assert found.groups[1].influence == 0
    assert found.groups[1].p_value > found.groups[2].p_value
    assert len({group.id for group in found.groups}) == len(found.groups)


def test_copies_count_once():
    """Five copies of one source beside another source do not outweigh it."""
    copies = _unit(EMBEDDINGS[3] + 0.001 * np.random.default_rng(5).standard_normal((5, D)))
    embeddings = np.concatenate([EMBEDDINGS, copies])
    records = [*RECORDS, *(ImageRecord(200 + i, f"{i}.png", "", "", 9, 9) for i in range(5))]
    labels = np.arange(N + 5)
    labels[N:] = 3
    query = EMBEDDINGS[3] + EMBEDDINGS[40]
    found = _ask(query, groups=labels, top=N + 5, embeddings=embeddings, records=records)
    once = _ask(query)
    shares, wanted = (
        {group.id: group.influence for group in a.groups if group.influence > 0.02}
        for a in (found, once)
    )
    assert shares == pytest.approx(wanted, abs=0.02)
    group = next(group for group in found.groups if group.id == 103)
    assert group.members == (103, 200, 201, 202, 203, 204)
    assert len(found.groups) == N
    assert found.groups[0].best.group == found.groups[0].id


def test_members_beyond_the_matches_belong_to_the_group_too():
    labels = np.arange(N)
    labels[30] = 17
    found = _ask(EMBEDDINGS[17], groups=labels, top=1)
    assert len(found.matches) == 1
    assert found.groups[0].members == (117, 130)


def test_a_group_is_named_by_its_first_image_even_when_another_is_best():
    labels = np.arange(N)
    labels[30] = 17
    found = _ask(EMBEDDINGS[30], groups=labels)
    assert found.groups[0].id == 117
    assert found.groups[0].best.image.id == 130
    assert found.matches[0].group == 117


def test_the_sentence_names_a_group_that_has_a_share():
    """It named the best group even where the decomposition gave all to a better mixture."""
    spiky = np.zeros((6, D), np.float32)
    spiky[[3, 4, 5], [10, 11, 12]] = 1
    spiky[1, 0] = spiky[2, 1] = 1
    spiky[0, :2] = 1
    spiky[0, 2] = 0.3
    embeddings = _unit(spiky)
    query = np.zeros(D)
    query[:2] = 1
    found = _ask(query, embeddings=embeddings, records=RECORDS[:6])
    shares = [group.influence for group in found.groups]
    assert found.groups[0].best.image.id == 100
    assert shares[0] == pytest.approx(0, abs=1e-6)
    assert sum(shares) > 0.5
    assert "photos/0.jpg" not in sentence(found)


def test_matches_and_groups_are_best_first():
    found = _ask(EMBEDDINGS[:3].sum(0))
    scores = [match.score for match in found.matches]
    assert scores == sorted(scores, reverse=True)
    p_values = [group.p_value for group in found.groups]
    assert p_values == sorted(p_values)
    assert found.p_value == p_values[0]


@pytest.mark.slow
def test_a_source_that_one_aspect_shows_comes_before_those_that_score_higher():
    """What a score is made of drowns it; the answer says by what it was found."""
    rng = np.random.default_rng(5)
    drawn = _unit(rng.standard_normal((N, D)))
    edges = made.edges(drawn, config=ScoreConfig(views=(ViewConfig("edges", 0.01, 0.5),)))
    config = ScoreConfig(local_scaling=False)
    world = made.collection(EMBEDDINGS, beside=[edges], records=RECORDS, config=config)
    asked = made.query(_unit(EMBEDDINGS[7] + 8 * _unit(_unrelated())), drawn[30])
    ranking = world.rank(asked, k=N)
    assert ranking.rows[0] != 30
    null = made.null(rng.uniform(0, [0.15, 0.002, 0.15], (500, 3)), rng.uniform(0, 0.001, (500, 3)))
    found = answer(asked, ranking, world, null=null, config=CONFIG, top=3)
    assert found.named
    assert [match.image.id for match in found.matches] == [130, *(100 + ranking.rows[:2])]
    assert found.groups[0].id == 130
    p_values = {aspect.name: aspect.p_value for aspect in found.groups[0].aspects}
    assert p_values["edges"] < 0.002 < 0.05 < p_values["embedding"]


def test_confidence_falls_with_the_score():
    weak, strong = (_ask(EMBEDDINGS[3] + w * _unit(_unrelated())) for w in (8.0, 0.1))
    assert weak.groups[0].confidence < strong.groups[0].confidence
    assert weak.none > strong.none


def test_an_empty_gallery_answers_that_it_is_empty():
    nothing = np.zeros(0, np.float32)
    empty = made.collection(np.zeros((0, D), np.float32))
    asked = made.query(EMBEDDINGS[0])
    ranking = empty.rank(asked, k=3)
    found = answer(asked, ranking, empty, null=made.null(nothing), config=CONFIG, top=3)
    assert (found.none, found.p_value, found.matches, found.groups) == (None, None, (), ())
    assert "empty" in sentence(found)


def test_the_answer_says_what_it_was_computed_with():
    found = _ask(EMBEDDINGS[0])
    assert found.null_id == NULL.identity
    assert found.null_size == 500


def test_the_wording_accuses_nobody():
    mixed = EMBEDDINGS[3] + EMBEDDINGS[40]
    for query in (_unrelated(), EMBEDDINGS[17], mixed, mixed + _unit(_unrelated())):
        told = sentence(_ask(query))
        assert not re.search(r"cop(y|ied|ies)|st(ole|eal)|theft|plagiar|infring", told, re.I)
        assert "%" not in told
        assert told.endswith(".")


def test_a_title_stands_for_the_path():
    records = [ImageRecord(1, "x/1.jpg", "", "", 9, 9, title="Water lilies"), *RECORDS[1:]]
    found = _ask(EMBEDDINGS[0], records=records)
    assert "Water lilies" in sentence(found)
    assert "x/1.jpg" not in sentence(found)


def test_a_source_without_a_rival_is_named_and_one_with_a_rival_is_one_of_these():
    """That something is a source does not make the best match it."""
    alone = _ask(EMBEDDINGS[3])
    assert alone.named
    assert alone.lead_p_value == pytest.approx(1 / 501)
    assert sentence(alone).endswith(": photos/3.jpg.")
    rivals = _ask(EMBEDDINGS[3] + EMBEDDINGS[40])
    assert not rivals.named
    assert rivals.lead_p_value > 0.05
    assert sentence(rivals).startswith("One or more of these are ")
    paths = set(re.findall(r"photos/\d+\.jpg", sentence(rivals)))
    assert {"photos/3.jpg", "photos/40.jpg"} <= paths


def test_a_copy_is_no_rival():
    """Two images of one group are as near to the query; ungrouped, neither could be named."""
    labels = np.arange(N)
    labels[40] = 3
    embeddings = EMBEDDINGS.copy()
    embeddings[40] = embeddings[3]
    assert _ask(EMBEDDINGS[3], embeddings=embeddings, groups=labels).named
    assert not _ask(EMBEDDINGS[3], embeddings=embeddings).named


def test_what_is_shown_changes_no_number():
    few, many = (_ask(EMBEDDINGS[3] + EMBEDDINGS[40], top=top) for top in (2, N))
    assert few.groups == many.groups[: len(few.groups)]
    assert len(few.groups) == 3
    assert (few.none, few.lead_p_value) == (many.none, many.lead_p_value)


def test_halves_of_two_sources_share_by_their_patches():
    rng = np.random.default_rng(3)
    patches = quantize(rng.standard_normal((N, 16, 12)))
    query = patches[3].copy()
    query[12:] = patches[40][12:]  # three quarters and one quarter
    mixed = _unit(EMBEDDINGS[3] + EMBEDDINGS[40])
    world = made.collection(EMBEDDINGS, patches=patches, records=RECORDS, means=np.zeros(N))
    asked = made.query(mixed, patches=query)
    ranking = world.rank(asked, k=N)
    found = answer(asked, ranking, world, null=NULL, config=CONFIG, top=N)
    shares = {group.id: group.influence for group in found.groups if group.influence}
    assert shares == pytest.approx({103: 0.75, 140: 0.25}, abs=0.05)


def test_an_image_with_the_same_bytes_is_the_source_whatever_its_score():
    """It was named by its score alone, which local scaling or near relatives could make too low."""
    crowded = EMBEDDINGS.copy()
    crowded[20:30] = _unit(crowded[3] + 0.01 * np.random.default_rng(0).standard_normal((10, D)))
    scored = _ask(crowded[3], embeddings=crowded)
    assert not scored.named
    known = _ask(crowded[3], embeddings=crowded, identical=3)
    assert known.named
    assert known.identical == 103
    assert known.groups[0].id == 103
    assert (known.groups[0].confidence, known.groups[0].influence, known.none) == (1, 1, 0)
    assert all(group.influence == 0 for group in known.groups[1:])


@pytest.mark.parametrize("identical", [None, 3])
def test_a_null_that_is_too_small_gives_no_number(identical):
    """A lone image in a gallery of twelve had a confidence of over 99 %, and a p-value of 0.08."""
    small = made.null(MARGINS[:18], LEADS[:18])
    found = _ask(EMBEDDINGS[3], null=small, identical=identical)
    assert (found.none, found.p_value, found.lead_p_value) == (None, None, None)
    for group in found.groups:
        assert (group.p_value, group.confidence, group.influence) == (None, None, None)
    assert found.groups[0].id == 103
    assert found.named == (identical is not None)
    enough = _ask(EMBEDDINGS[3], null=made.null(MARGINS[-19:], LEADS[-19:]))
    assert None not in (enough.none, enough.p_value, enough.groups[0].confidence)


def test_notes_on_the_file_go_with_the_answer():
    notes = ("its end marker is missing",)
    assert _ask(EMBEDDINGS[3], notes=notes).notes == notes
    assert _ask(EMBEDDINGS[3]).notes == ()


def _ask_among(query, among, *, groups=None, **more):
    world = made.collection(
        EMBEDDINGS, groups=groups, records=RECORDS, config=ScoreConfig(local_scaling=False)
    )
    asked = made.query(_unit(query), **more)
    ranking = world.rank_among(asked, Among(among), k=N)
    found = answer(asked, ranking, world, null=NULL, config=CONFIG, top=N)
    elsewhere = stands_out_elsewhere(ranking, world, null=NULL, config=CONFIG)
    return found, elsewhere


def _told(found):
    return {g.id: (g.p_value, g.confidence, g.strength, g.aspects) for g in found.groups}


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    sources=st.integers(0, 3),
    noise=st.floats(0.01, 2.0),
    share=st.floats(0.05, 1.0),
)
@pytest.mark.slow
def test_a_filter_leaves_every_group_the_evidence_that_it_has_among_all(
    seed, sources, noise, share
):
    """So no p-value is smaller than that of the whole gallery, whose null it refers to."""
    rng = np.random.default_rng(seed)
    query = EMBEDDINGS[:sources].sum(0) + noise * rng.standard_normal(D) / np.sqrt(D)
    groups = rng.integers(0, 2, N).cumsum()
    groups = np.unique(groups, return_index=True)[1][groups - groups[0]]
    among = rng.random(N) < share
    among[rng.integers(N)] = True
    found, elsewhere = _ask_among(query, among, groups=groups)
    whole = _ask(query, groups=groups)
    for number, evidence in _told(found).items():
        assert evidence == _told(whole)[number]
    assert found.p_value >= whole.p_value
    passing = {record.id for record, passes in zip(RECORDS, among, strict=True) if passes}
    assert {match.image.id for match in found.matches} == passing
    assert {member for group in found.groups for member in group.members} == passing
    assert sum(group.influence for group in found.groups) + found.none == pytest.approx(1)
    likely = [{*g.members} for g in whole.groups if g.influence]
    assert elsewhere == any(not passing & members for members in likely)


@pytest.mark.slow
def test_rivals_of_a_few_would_make_images_stand_out_that_do_not():
    """The control: margins over the fourth of a few images are larger than the null knows."""
    among = np.zeros(N, bool)
    among[:8] = True
    alone = np.array([_ask(row, embeddings=EMBEDDINGS[:8], records=RECORDS[:8]).p_value
                      for row in _queries()])  # fmt: skip
    found = np.array([_ask_among(row, among)[0].p_value for row in _queries()])
    whole = np.array([_ask(row).p_value for row in _queries()])
    assert (found >= whole).all()
    assert np.median(alone) < np.median(whole)


def _queries():
    return np.random.default_rng(4).standard_normal((60, D))


def test_a_source_that_does_not_pass_is_no_source_and_is_told():
    among = np.ones(N, bool)
    among[3] = False
    found, elsewhere = _ask_among(EMBEDDINGS[3], among)
    assert not [group for group in found.groups if group.influence]
    assert found.none == 1
    assert elsewhere
    found, elsewhere = _ask_among(EMBEDDINGS[3], ~among)
    assert found.groups[0].best.image == RECORDS[3]
    assert found.named
    assert not elsewhere


def _by_roles(*, structure, appearance, top=N, null_size=500):
    """A query with the edges of one image and the palette of another, far down by all else.

    Its margin in the palette is that of one null query in fifty: too few for a source.
    """
    rng = np.random.default_rng(11)
    edges, palette = (_unit(rng.standard_normal((N, D))) for _ in range(2))
    how = {"weight": 1.0, "trust": 0.8}
    views = (made.view(edges, name="edges", **how), made.view(palette, name="palette", **how))
    config = ScoreConfig(local_scaling=False)
    world = made.collection(EMBEDDINGS, beside=views, records=RECORDS, config=config)
    mixed = EMBEDDINGS[[structure, 3, 12, 20, 40]].sum(0) - 3 * EMBEDDINGS[appearance]
    asked = made.query(_unit(mixed), edges[structure], palette[appearance])
    ranking = world.rank(asked, k=N)
    margins = rng.uniform(0, 0.15, (null_size, len(world.aspect_names)))
    margins[:, -1] = rng.uniform(0, 2.0, null_size)
    by_palette = world.aspect_names.index("palette")
    stands_out = margins_of(aspects_of(ranking, world.groups)).margins[:, by_palette].max()
    margins[:, by_palette] = stands_out * rng.permutation(np.linspace(0, 1 / 0.98, null_size))
    null = made.null(margins)
    return answer(asked, ranking, world, null=null, config=CONFIG, top=top)


def test_who_gave_the_structure_and_who_the_appearance_is_told_where_they_differ():
    found = _by_roles(structure=7, appearance=31)
    assert found.roles is not None
    assert (found.roles.structure, found.roles.appearance) == (107, 131)
    assert found.roles.structure_p_value == pytest.approx(1 / 501)
    assert found.roles.appearance_p_value == pytest.approx(0.02, abs=0.005)
    assert _by_roles(structure=7, appearance=7).roles is None


def test_a_group_with_a_role_is_shown_however_far_down_it_is_ranked():
    """It would be told of an image that nobody sees."""
    found = _by_roles(structure=7, appearance=31, top=3)
    sources = [group.id for group in found.groups if group.influence]
    assert len(sources) == 2 and 131 not in sources
    assert 131 in {group.id for group in found.groups}
    assert [match.image.id for match in found.matches] == [*sources, 131]
    assert len(found.groups) == len({group.id for group in found.groups})
    assert _by_roles(structure=7, appearance=31).roles == found.roles


def test_a_null_too_small_to_tell_tells_no_roles():
    found = _by_roles(structure=7, appearance=31, null_size=12)
    assert found.p_value is None
    assert found.roles is None
