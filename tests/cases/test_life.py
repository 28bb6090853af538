"""What happens to folders between two runs, and files in unusual shapes, by the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from core.cli.commands import app
from tests.cases.trees import animation, cut, picture
from tests.core.images.profiles import SPACES, into, rgb_profile


def run(*words: object) -> tuple[int, str, str]:
    found = CliRunner().invoke(app, [str(word) for word in words])
    return found.exit_code, found.stdout, " ".join(found.stderr.split())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    for seed in range(40):
        path = tmp_path / "photos" / ("trip" if seed % 3 else "") / f"{seed:02d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(100 + seed))
    return tmp_path / "photos"


@pytest.fixture
def gallery(photos: Path, tmp_path: Path) -> Path:
    index(photos, tmp_path / "g")
    return tmp_path / "g"


def index(photos: Path, gallery: Path, *more: str) -> dict[str, object]:
    code, out, err = run(
        "index", photos, "--out", gallery, "--encoder", "thumbnail", "--json", *more
    )
    assert code == 0, err
    return json.loads(out)


@dataclass(frozen=True)
class Step:
    """A change of the folder, and what the next run says of it."""

    what: str
    change: Callable[[Path], object]
    said: dict[str, object]
    verified: str = ""
    """What verifying says before that run; nothing where all is well."""


STEPS = [
    Step("nothing", lambda _: None, {"images": 40, "added": 0, "removed": 0, "moved": 0}),
    Step(
        "renamed",
        lambda f: (f / "00.png").rename(f / "first.png"),
        {"images": 40, "added": 0, "moved": 1, "gone": []},
        "00.png: its file is no longer there",
    ),
    Step(
        "moved to another folder",
        lambda f: (f / "trip" / "01.png").rename(f / "01.png"),
        {"images": 40, "added": 0, "moved": 1, "gone": []},
        "trip/01.png: its file is no longer there",
    ),
    Step(
        "gone",
        lambda f: (f / "00.png").unlink(),
        {"images": 40, "removed": 0, "gone": ["00.png"]},
        "`index --prune` with the same folder drops it",
    ),
    Step(
        "overwritten",
        lambda f: (f / "00.png").write_bytes(picture(7)),
        {"images": 40, "added": 1, "removed": 1, "gone": []},
        "00.png: its file has changed since it was indexed",
    ),
    Step(
        "copied",
        lambda f: shutil.copy(f / "00.png", f / "again.png"),
        {"images": 41, "added": 1, "moved": 0},
    ),
]


def swapped(folder: Path) -> None:
    (folder / "00.png").rename(folder / "x")
    (folder / "03.png").rename(folder / "00.png")
    (folder / "x").rename(folder / "03.png")


def moved_from_under_a_copy(folder: Path) -> None:
    (folder / "00.png").rename(folder / "first.png")
    shutil.copy(folder / "03.png", folder / "00.png")


STEPS += [
    Step("swapped", swapped, {"images": 40, "added": 0, "removed": 0, "moved": 2}, "has changed"),
    Step(
        "moved, and another in its place",
        moved_from_under_a_copy,
        {"images": 41, "added": 1, "removed": 0, "moved": 1},
        "00.png: its file has changed",
    ),
]


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.what)
def test_the_next_run_knows_what_became_of_a_file(photos: Path, gallery: Path, step: Step) -> None:
    step.change(photos)
    code, _, said = run("verify", gallery)
    assert (code, step.verified in said) == (int(bool(step.verified)), True)
    found = index(photos, gallery)
    assert {name: found[name] for name in step.said} == step.said
    index(photos, gallery, "--prune")
    assert run("verify", gallery)[0] == 0


def test_an_index_keeps_to_the_encoders_of_its_gallery(photos: Path, gallery: Path) -> None:
    """What verifying advised was refused, since the bundled encoders were taken."""
    (photos / "00.png").unlink()
    (photos / "new.png").write_bytes(picture(8))
    assert "`index --prune` with the same folder" in run("verify", gallery)[2]
    code, _, said = run("index", photos, "--out", gallery, "--prune")
    assert (code, "1 added, 1 removed" in said) == (0, True)
    assert run("verify", gallery)[0] == 0


def test_what_is_gone_is_never_named_without_saying_so(photos: Path, gallery: Path) -> None:
    kept = photos.parent / "kept.png"
    (photos / "00.png").rename(kept)
    asked = ("attribute", kept, "--gallery", gallery)
    code, out, _ = run(*asked)
    assert code == 0 and "00.png (no longer there)" in out
    (found,) = [m for m in json.loads(run(*asked, "--json")[1])["matches"] if m["path"] == "00.png"]
    assert not found["there"]
    assert "00.png (no longer there)" in json.loads(run(*asked, "--json")[1])["answer"]
    index(photos, gallery, "--prune")
    assert "00.png" not in run(*asked)[1]


def test_what_is_opted_out_stays_so_under_the_name_of_another(photos: Path, gallery: Path) -> None:
    """The image that took its name was out of answers in its place."""
    run("opt-out", "00.png", "--gallery", gallery)
    swapped(photos)
    index(photos, gallery)
    assert "0: 03.png" in run("opt-out", "--gallery", gallery)[2]


def test_a_folder_that_is_gone_whole_is_said(photos: Path, gallery: Path) -> None:
    """Its images were named as if they were there, and verifying found nothing wrong."""
    here = photos.parent / "here.png"
    shutil.copy(photos / "00.png", here)
    photos.rename(photos.parent / "elsewhere")
    assert "00.png (no longer there)" in run("attribute", here, "--gallery", gallery)[1]
    code, _, said = run("verify", gallery)
    assert code == 1 and f"{photos}: the folder of the images is no longer there" in said
    assert index(photos.parent / "elsewhere", gallery)["images"] == 40
    assert run("verify", gallery)[0] == 0


def test_pruning_never_empties_a_gallery_and_says_what_does(photos: Path, gallery: Path) -> None:
    shutil.rmtree(photos)
    photos.mkdir()
    assert "`remove` with its path drops it" in run("verify", gallery)[2]
    assert len(index(photos, gallery)["gone"]) == 40  # pyright: ignore[reportArgumentType]
    code, _, said = run("index", photos, "--out", gallery, "--encoder", "thumbnail", "--prune")
    assert code == 1 and "none of the 40 images is there any more" in said
    command = said.partition("try: python -m core ")[2].split()
    assert run(*command)[0] == 0 and "20 images" in run("opt-out", "--gallery", gallery)[2]


def test_a_folder_of_links_and_a_moved_root(photos: Path, tmp_path: Path) -> None:
    links = tmp_path / "links"
    links.mkdir()
    (links / "one").symlink_to(photos, target_is_directory=True)
    assert index(links, tmp_path / "g")["images"] == 40
    index(photos, tmp_path / "h")
    moved = photos.rename(tmp_path / "moved")
    (moved / "00.png").unlink()
    found = index(moved, tmp_path / "h")
    assert (found["images"], found["gone"]) == (40, ["00.png"])


def test_images_are_removed_by_path_and_by_id(gallery: Path) -> None:
    assert "39 images" in run("remove", "trip/01.png", "--gallery", gallery)[2]
    assert "38 images" in run("remove", "3", "--gallery", gallery)[2]
    assert "36 images" in run("remove", "./00.png", "trip\\02.png", "--gallery", gallery)[2]
    code, _, said = run("remove", "none.png", "--gallery", gallery)
    assert code == 1 and "none.png" in said


NOTES = {
    "x.gif": (animation(), "frame"),
    "x.jpg": (cut(5, by=2), "end marker is missing"),
    "p.png": (picture(5, icc_profile=b"no profile"), "profile"),
}


@pytest.mark.parametrize("name", NOTES)
def test_what_is_unusual_of_a_file_is_said_when_it_is_indexed(
    photos: Path, gallery: Path, name: str
) -> None:
    """A build read such a file without a word."""
    content, note = NOTES[name]
    (photos / name).write_bytes(content)
    found = index(photos, gallery)["notes"]
    assert isinstance(found, dict)
    (told,) = found
    assert note in told and found[told] == [name]
    shutil.copy(photos / name, photos / f"again-{name}")
    code, _, said = run("index", photos, "--out", gallery)
    assert code == 0 and "read with a note" not in said  # its content was read before


@pytest.mark.parametrize("name", NOTES)
def test_what_is_unusual_of_a_file_is_said_with_its_answer(
    gallery: Path, tmp_path: Path, name: str
) -> None:
    content, note = NOTES[name]
    (tmp_path / name).write_bytes(content)
    code, out, _ = run("attribute", tmp_path / name, "--gallery", gallery)
    assert code == 0 and "About your file:" in out and note in out
    notes = json.loads(run("attribute", tmp_path / name, "--gallery", gallery, "--json")[1])[
        "notes"
    ]
    assert note in " ".join(notes)


def test_one_bad_image_costs_the_others_nothing(
    photos: Path, gallery: Path, tmp_path: Path
) -> None:
    bad = tmp_path / "bad.jpg"
    bad.write_bytes(cut(5, by=200))
    code, out, said = run(
        "attribute", photos / "00.png", bad, photos / "03.png", "--gallery", gallery
    )
    assert code == 1 and said.count("left out") == 1
    assert out.count("the very same file") == 2


@pytest.mark.parametrize("space", SPACES)
def test_a_copy_in_another_space_of_colours_is_the_same_picture(
    gallery: Path, tmp_path: Path, space: str
) -> None:
    """It was another one: its colours were read as they were stored."""
    path, copy = tmp_path / "photos" / "00.png", tmp_path / "copy.png"
    muted = (np.asarray(Image.open(path)) * 0.5 + 64).astype(np.uint8)
    Image.fromarray(muted).save(path)
    index(tmp_path / "photos", gallery)
    Image.fromarray(into(SPACES[space], muted)).save(copy, icc_profile=rgb_profile(SPACES[space]))
    found = json.loads(run("attribute", copy, "--gallery", gallery, "--json")[1])
    first = found["matches"][0]
    assert first["path"] == "00.png" and first["cosine"] > 0.99
