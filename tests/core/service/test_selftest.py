"""A picture of one's own is found where it is as if in the gallery, and nowhere else."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.source import Source
from core.search.extra_views import with_extra_views
from core.service.choice import Choice
from core.service.guests import with_guest
from core.service.selftest import SelfTest, selftest
from core.service.session import Session
from core.service.workspace import Workspace
from core.values import Encoder, GalleryError, ImageError, ImageRecord
from tests.core.pictures import picture, save_pictures

COUNT = 60


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pictures(tmp_path_factory.mktemp("world"), COUNT)


@pytest.fixture
def workspace(folder: Path, tmp_path: Path, encoder: Encoder) -> Workspace:
    from core.service.heads import choose_head  # noqa: PLC0415 - only here

    update(tmp_path / "g", Source(folder), with_extra_views([encoder]))
    gallery = Gallery.open(tmp_path / "g")
    return Workspace(gallery, encoder, choose_head(gallery, encoder, "center"))


def _test(workspace: Workspace, image: Image.Image) -> SelfTest:
    def never():
        raise AssertionError("no pixels are moved here")

    def shown(number: int) -> Image.Image:
        return picture(workspace.gallery.row_of[number])

    return SelfTest(workspace, image, name="Mine", picture=shown, network=never)


@pytest.mark.slow
def test_a_gallery_with_a_guest_answers_as_if_the_guest_had_been_indexed(
    workspace: Workspace, folder: Path, tmp_path: Path, encoder: Encoder
):
    """The guest's scores are those that it gets in a gallery that was built with it."""
    stranger = picture(500)
    record = ImageRecord(999, "Mine", "x" * 64, "0" * 16, 48, 40)
    fuller = with_guest(workspace, workspace.query(stranger), record=record)
    assert len(fuller.collection) == COUNT + 1
    assert len(workspace.collection) == COUNT
    asked = stranger.rotate(5)
    found = fuller.attribute(fuller.query(asked), top=COUNT + 1)
    assert found.matches[0].image == record
    stranger.save(tmp_path / "60.png")
    (tmp_path / "all").mkdir()
    for file in [*folder.glob("*.png"), tmp_path / "60.png"]:
        (tmp_path / "all" / file.name).write_bytes(file.read_bytes())
    heads = {encoder.identity: workspace.patch_head}
    update(
        tmp_path / "built", Source(tmp_path / "all"), with_extra_views([encoder]), patch_heads=heads
    )  # pyright: ignore[reportArgumentType]
    built = Gallery.open(tmp_path / "built")
    whole = Workspace(built, encoder, workspace.head)
    wanted = whole.attribute(whole.query(asked), top=COUNT + 1)
    assert wanted.matches[0].image.path == "60.png"
    assert found.matches[0].cosine == pytest.approx(wanted.matches[0].cosine, abs=2e-3)
    assert found.matches[0].score == pytest.approx(wanted.matches[0].score, abs=0.05)


@pytest.mark.slow
def test_a_variation_is_traced_to_the_picture_and_to_nothing_without_it(workspace: Workspace):
    test = _test(workspace, picture(501))
    trial = test.run("patches", far=0.0, seed=1)
    assert trial.first
    assert trial.found
    assert not trial.false
    assert trial.partner is None
    assert trial.present.matches[0].image.title == "Mine"
    assert all(match.image.title != "Mine" for match in trial.absent.matches)
    again = test.run("patches", far=0.0, seed=1)
    assert again.variation.tobytes() == trial.variation.tobytes()


@pytest.mark.slow
def test_the_image_that_took_part_is_no_false_answer(workspace: Workspace):
    trial = _test(workspace, picture(502)).run("blend", far=1.0, seed=4)
    assert trial.partner is not None
    first = trial.absent.groups[0]
    assert trial.partner.id in first.members
    assert not trial.false


@pytest.mark.slow
def test_a_picture_that_the_gallery_holds_is_taken_out_of_it_as_its_copies_are(
    workspace: Workspace,
):
    """Without the original its copy would be named, and counted as a false answer."""
    for copy in (picture(7), picture(7).resize((96, 80))):
        trial = _test(workspace, copy).run("patches", far=0.0, seed=1)
        assert [record.path for record in trial.taken_out] == ["07.png"]
        assert trial.found
        assert not trial.false
        shown = {match.image.path for match in trial.absent.matches}
        assert "07.png" not in shown | {match.image.path for match in trial.present.matches}
        for answer in (trial.present, trial.absent):
            groups = {group.id: group.members for group in answer.groups}
            assert all(match.image.id in groups[match.group] for match in answer.matches)
    assert len(workspace.collection) == COUNT
    asked = workspace.attribute(workspace.query(picture(7)), top=1)
    assert asked.matches[0].image.path == "07.png"  # for everybody else it is still there


@pytest.mark.slow
def test_an_image_that_was_taken_out_takes_no_part(workspace: Workspace):
    seed = next(s for s in range(999) if np.random.default_rng(s).integers(COUNT - 1) == 7)
    partner = _test(workspace, picture(7)).run("blend", far=0.5, seed=seed).partner
    assert partner is not None
    assert partner.path == "08.png"  # the eighth of those that are left


@pytest.mark.slow
def test_a_picture_of_a_large_gallery_or_its_only_one_is_refused(workspace: Workspace):
    large = workspace.over(workspace.collection)
    large.score = replace(large.score, exact=COUNT - 1)
    with pytest.raises(ImageError, match=r"holds this image already, as 07\.png"):
        _test(large, picture(7))
    one_group = replace(workspace.collection, groups=np.zeros(COUNT, np.int64))
    with pytest.raises(ImageError, match="nothing but this image"):
        _test(workspace.over(one_group), picture(7))


@pytest.mark.slow
def test_an_empty_gallery_is_refused(workspace: Workspace):
    workspace.gallery = type("Empty", (), {"__len__": lambda _self: 0})()  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(GalleryError, match="empty"):
        _test(workspace, picture(1))


@pytest.mark.slow
def test_the_session_opens_it_with_the_pictures_of_its_gallery(folder: Path, tmp_path: Path):
    session = Session()
    update(tmp_path / "g", Source(folder), [session.encoder("histogram")])
    choice = Choice("histogram", "center", str(tmp_path / "g"))
    trial = selftest(session, picture(503), choice, name="Mine").run("blend", far=0.0, seed=0)
    assert trial.partner is not None
    assert trial.original.title == "Mine"
    assert trial.present.encoder.startswith("histogram@")
