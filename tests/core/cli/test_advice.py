"""Whatever a message advises is done, and helps."""

from __future__ import annotations

import json
import shlex
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import Result

from core.cli import learning
from core.cli.commands import app
from core.encoders.load import load_network
from core.gallery.gallery import Gallery
from core.gallery.shards import ShardWriter
from core.gallery.store import Store
from core.values import EncoderError
from tests.core.cli.calls import call
from tests.core.cli.processes import ROOT

PLAIN = ("--encoder", "thumbnail")


@dataclass(frozen=True)
class Place:
    """A folder of images, and a gallery made of it."""

    photos: Path
    gallery: Path

    def remade(self) -> Path:
        """Where advice builds the gallery again."""
        return Path(f"{self.gallery}-again")


@pytest.fixture
def place(photos, folder) -> Place:
    return Place(photos, folder)


def kill(photos: Path, folder: Path) -> None:
    """Stop a build before its first shard is whole."""

    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ShardWriter, "fill", stopped)
        result = call("index", photos, "--out", folder, *PLAIN)
    assert "the same command goes on" in result.stderr
    assert Gallery.open(folder).header.generation == 0


def asking(gallery: Path, photos: Path) -> dict[str, tuple[object, ...]]:
    """Every command that takes a gallery, by its name."""
    out = gallery.parent / "head"
    pairs = gallery.parent / "pairs.json"
    names = {"exemplars": ["photos/01.png"], "generated": "photos/01.png"}
    pairs.write_text(json.dumps([{"source": "s", "generator": "g"} | names]))
    at = ("--gallery", gallery)
    return {
        "attribute": ("attribute", photos / "01.png", *at),
        "reverse": ("reverse", photos / "trip", "--source", 0, *at),
        "selftest": ("selftest", photos / "01.png", "--way", "blend", *at),
        "project": ("project", gallery),
        "fit-head": ("fit-head", gallery, "--kind", "center", "--out", out),
        "add": ("add", photos, *at),
        "remove": ("remove", 0, *at),
        "opt-out": ("opt-out", 0, *at),
        "opt-in": ("opt-in", 0, *at),
        "verify": ("verify", gallery),
        "evaluate": ("evaluate", "--pairs", pairs, *at, *PLAIN),
    }


def advised(result: Result) -> list[str]:
    """The command that a failure advises, from its name on."""
    assert result.exit_code == 1, result.output
    (line,) = (x for x in result.stderr.splitlines() if x.startswith("try: python -m core "))
    return shlex.split(line)[4:]


def follow(command: list[str], *more: object, **words: object) -> None:
    """Run an advised command with its placeholders filled in."""
    done = call(*(words.get(word, word) for word in command), *more)
    assert done.exit_code == 0, done.stderr


COMMANDS = sorted({*asking(Path("/tmp/g"), Path("/tmp/photos"))} - {"evaluate"})


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.slow
def test_where_there_is_no_gallery_index_makes_one(photos, tmp_path, name: str) -> None:
    gone = tmp_path / "gone"
    result = call(*asking(gone, photos)[name])
    assert "is not a gallery" in result.stderr
    command = advised(result)
    assert command == ["index", "IMAGES", "--out", str(gone)]
    follow(command, *PLAIN, IMAGES=photos)
    assert call("verify", gone).exit_code == 0

    result = call(*asking(photos, photos)[name])
    assert "is not a gallery" in result.stderr
    command = advised(result)
    assert command == ["index", str(photos), "--out", f"{photos}-gallery"]
    follow(command, *PLAIN)


@pytest.mark.parametrize("name", [*COMMANDS, "evaluate"])
@pytest.mark.slow
def test_a_build_that_was_killed_goes_on(photos, tmp_path, name: str) -> None:
    """The commands said `add`, an id that is not there, no encoder, or that all was well."""
    folder = tmp_path / "g"
    kill(photos, folder)
    ask = asking(folder, photos)[name]
    result = call(*ask)
    assert "before its first build was complete" in result.stderr
    command = advised(result)
    assert command == ["index", str(photos), "--out", str(folder)]
    follow(command, *PLAIN)
    done = call(*ask)
    assert done.exit_code == 0, done.stderr


def emptied(place: Place) -> tuple[object, ...]:
    call("remove", *range(12), "--gallery", place.gallery)
    return ("add", place.photos, "--gallery", place.gallery)


def hushed(place: Place) -> tuple[object, ...]:
    call("opt-out", *range(12), "--gallery", place.gallery)
    return ("attribute", place.photos / "01.png", "--gallery", place.gallery)


def older(place: Place) -> tuple[object, ...]:
    file = place.gallery / "gallery.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"format": 0}))
    return ("attribute", place.photos / "01.png", "--gallery", place.gallery)


def headless(place: Place) -> tuple[object, ...]:
    (place.gallery / "gallery.json").write_text("{")
    return ("verify", place.gallery)


def tableless(place: Place) -> tuple[object, ...]:
    (place.gallery / "generations" / "1" / "manifest.parquet").write_bytes(b"x")
    return ("remove", 1, "--gallery", place.gallery)


def featureless(place: Place) -> tuple[object, ...]:
    (file,) = place.gallery.glob("generations/1/*/features.npy")
    file.write_bytes(b"x")
    return ("attribute", place.photos / "01.png", "--gallery", place.gallery)


def lacking(place: Place) -> tuple[object, ...]:
    shutil.copy(place.photos / "01.png", place.photos / "new.png")
    asked = ("attribute", place.photos / "01.png", "--encoder", "phash")
    return (*asked, "--gallery", place.gallery)


def lost(place: Place) -> tuple[object, ...]:
    (place.photos / "01.png").unlink()
    (place.photos / "02.png").unlink()
    return ("index", place.photos, "--out", place.gallery, *PLAIN, "--encoder", "phash")


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (emptied, "holds no images; index some"),
        (hushed, "are opted out; opt some in again"),
        (older, "has gallery format 0, this version reads 2; build the gallery again"),
        (headless, "gallery.json of g is damaged; build the gallery again"),
        (tableless, "is missing or damaged (OSError|ArrowInvalid); build the gallery again"),
        (featureless, "features.npy of thumbnail is missing or damaged; build the gallery again"),
        (lacking, "no features of encoder 'phash'"),
        (lost, "2 images of the gallery, '01.png' first, could not be read again"),
    ],
)
@pytest.mark.slow
def test_the_command_that_is_advised_helps(
    place: Place, broken: Callable[[Place], tuple[object, ...]], words: str
) -> None:
    asked = broken(place)
    result = call(*asked)
    assert words.partition(" (")[0] in result.stderr
    command = advised(result)
    more = PLAIN if command[0] == "index" and "--encoder" not in command else ()
    follow(command, *more, IMAGES=place.photos, IMAGE="0")
    again = str(place.remade()) in command
    asked = tuple(place.remade() if again and a == place.gallery else a for a in asked)
    done = call(*asked)
    assert done.exit_code == 0, done.stderr


@pytest.mark.slow
def test_where_another_process_writes_it_is_tried_again(place: Place) -> None:
    asked = ("add", place.photos, "--gallery", place.gallery)
    with Store(place.gallery).writing():
        assert "try again when that is done" in call(*asked).stderr
    assert call(*asked).exit_code == 0


@pytest.mark.slow
def test_another_folder_is_named(place: Place, tmp_path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.write(place.photos / "01.png", "01.png")
    shutil.copy(tmp_path / "a.zip", tmp_path / "b.zip")
    with zipfile.ZipFile(tmp_path / "b.zip", "a") as archive:
        archive.write(place.photos / "02.png", "02.png")
    assert call("index", tmp_path / "a.zip", "--out", tmp_path / "z", *PLAIN).exit_code == 0
    for source, out in (
        (place.photos, place.photos / "trip"),
        (tmp_path / "b.zip", tmp_path / "z"),
    ):
        result = call("index", source, "--out", out, *PLAIN)
        assert result.exit_code == 1
        assert "name another folder" in result.stderr
        assert call("index", source, "--out", f"{out}-other", *PLAIN).exit_code == 0


@pytest.mark.slow
def test_images_in_another_folder_are_put_there_or_both_indexed(place: Place, tmp_path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    shutil.copy(place.photos / "01.png", other / "more.png")
    result = call("add", other, "--gallery", place.gallery)
    assert f"lie in {place.photos}, not in {other}: put the new ones there" in result.stderr
    shutil.copy(other / "more.png", place.photos / "more.png")
    assert call("add", place.photos, "--gallery", place.gallery).exit_code == 0
    assert len(Gallery.open(place.gallery)) == 13
    assert call("index", tmp_path, "--out", tmp_path / "both", *PLAIN).exit_code == 0
    moved = place.photos.rename(tmp_path / "moved")
    for ask in (("attribute", moved / "01.png"), ("add", moved)):
        assert call(*ask, "--gallery", place.gallery).exit_code == 0
    assert Gallery.open(place.gallery).root == moved


@pytest.mark.slow
def test_encoders_that_a_gallery_has_are_named_too(place: Place, write_image) -> None:
    write_image(place.photos / "new.png", 60)
    asked = ("index", place.photos, "--out", place.gallery, "--encoder", "phash")
    assert "thumbnail@" in (said := call(*asked).stderr)
    assert "name those encoders too" in said
    assert call(*asked, *PLAIN).exit_code == 0


@pytest.mark.slow
def test_what_is_missing_of_unfinished_work_is_read_again(photos, tmp_path, monkeypatch) -> None:
    asked = ("index", photos, "--out", tmp_path / "g", *PLAIN)
    whole, calls = ShardWriter.finished, list[int]()

    def vanished(writer: ShardWriter) -> object:
        calls.append(1)
        return [] if len(calls) > 2 else whole(writer)  # when the work is done

    with monkeypatch.context() as patch:
        patch.setattr(ShardWriter, "finished", vanished)
        assert "the same command reads them again" in call(*asked).stderr
    assert call(*asked).exit_code == 0


@pytest.mark.slow
def test_a_damaged_head_is_fitted_again(place: Place, tmp_path) -> None:
    fit = ("fit-head", place.gallery, "--kind", "center", "--out", tmp_path / "h")
    asked = ("attribute", place.photos / "01.png", "--gallery", place.gallery)
    assert call(*fit).exit_code == 0
    (tmp_path / "h" / "head.json").write_text("{}")
    assert "fit it again" in call(*asked, "--head", tmp_path / "h").stderr
    assert call(*fit).exit_code == 0
    assert call(*asked, "--head", tmp_path / "h").exit_code == 0


@pytest.mark.slow
def test_a_gallery_of_one_s_own_takes_the_place_of_the_shipped_one(
    place: Place, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("core.gallery.gallery.SHIPPED", place.gallery)
    result = call("add", place.photos, "--gallery", place.gallery)
    assert "build one of your own" in result.stderr
    follow(advised(result), *PLAIN, IMAGES=place.photos)
    result = call(
        "attribute", place.photos / "01.png", "--gallery", place.gallery, "--encoder", "phash"
    )
    assert "name one of these" in result.stderr
    assert "try:" not in result.stderr
    assert call("attribute", place.photos / "01.png", "--gallery", place.gallery).exit_code == 0


def test_packages_that_are_advised_are_those_that_the_program_is_tested_with() -> None:
    assert (ROOT / learning.NEEDS_TRAINING.rpartition(" ")[2]).is_file()
    pinned = (ROOT / "requirements-dev.txt").read_text().split()
    named = (ROOT / "core" / "gallery" / "datasets.py").read_text().partition("pip install ")[2]
    assert named.partition('"')[0] in pinned


@pytest.mark.parametrize("name", ["lite0", "moco", "dino"])
def test_a_missing_encoder_says_a_command_that_there_is(name, tmp_path, monkeypatch) -> None:
    """It said `train lite0`, and `train moco` without a folder."""
    monkeypatch.setattr("core.encoders.registry.BUNDLED", tmp_path)
    with pytest.raises(EncoderError) as raised:
        load_network(name)
    command = str(raised.value).split("`")[1].removeprefix("python -m ").split()
    if name == "lite0":
        assert (ROOT / f"{command[0].replace('.', '/')}.py").is_file()
        return
    commands = get_command(app).commands  # pyright: ignore[reportAttributeAccessIssue]
    assert commands[command[1]].make_context(command[1], command[2:]).params["method"] == name
