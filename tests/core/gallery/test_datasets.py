from __future__ import annotations

import contextlib
import io
import json
import shutil
import socket
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest
from huggingface_hub.errors import RepositoryNotFoundError
from PIL import Image

from benchmarks.campaign.addresses import canary
from benchmarks.campaign.hub import PARQUET, Hub, dataset, settings, standing_in
from core.config import SourceLimits
from core.gallery import datasets as module
from core.gallery.build import update
from core.gallery.datasets import materialise
from core.gallery.gallery import Gallery
from core.gallery.source import Source
from core.images.decode import load_image
from core.values import Cancelled, GalleryError, ImageError


def zipped(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return path


@pytest.fixture
def archive(photos, tmp_path) -> Path:
    files = {p.relative_to(photos).as_posix(): p.read_bytes() for p in photos.rglob("*.png")}
    csv = b"file_name,title\n01.png,One\n"
    return zipped(tmp_path / "a.zip", files | {"metadata.csv": csv, "notes.txt": b"x"})


def test_a_folder_is_itself(photos, tmp_path) -> None:
    assert materialise(str(photos), into=tmp_path / "g") == photos
    assert not (tmp_path / "g").exists()


def test_a_zip_is_unpacked_once_and_can_be_indexed(archive, tmp_path, encoder, monkeypatch) -> None:
    folder = materialise(str(archive), into=tmp_path / "g")
    assert folder == tmp_path / "g" / "images"
    assert Source(folder).look().metadata.fields == {"01.png": {"title": "One"}}
    assert len(list(folder.rglob("*.png"))) == 12
    assert not (folder / "notes.txt").exists()
    update(tmp_path / "g", Source(folder), [encoder])
    monkeypatch.setattr(module, "unpack_images", None)
    assert materialise(str(archive), into=tmp_path / "g") == folder
    gallery = Gallery.open(tmp_path / "g")
    assert len(gallery) == 12
    assert gallery.header.root == "images"


def test_the_images_of_another_source_are_not_taken_for_its_own(archive, tmp_path, photos) -> None:
    """A second zip was ignored, and the images of the first indexed in its place."""
    materialise(str(archive), into=tmp_path / "g")
    other = zipped(tmp_path / "b.zip", {"x.png": (photos / "01.png").read_bytes()})
    for source in (str(other), "hf:someone/something"):
        with pytest.raises(GalleryError, match="images of another source"):
            materialise(source, into=tmp_path / "g")
    (tmp_path / "own" / "images").mkdir(parents=True)
    with pytest.raises(GalleryError, match="images of another source"):
        materialise(str(archive), into=tmp_path / "own")
    shutil.copy(archive, tmp_path / "same.zip")
    assert materialise(str(tmp_path / "same.zip"), into=tmp_path / "g").is_dir()


def test_a_folder_with_something_else_is_left_alone(archive, photos) -> None:
    before = sorted(photos.rglob("*"))
    with pytest.raises(GalleryError, match="not empty and not a gallery"):
        materialise(str(archive), into=photos)
    assert sorted(photos.rglob("*")) == before


@pytest.mark.parametrize(
    ("files", "what"),
    [
        ({"notes.txt": b"x"}, "no images"),
        ({"../out.png": b"x"}, "relative paths"),
        ({"inner.zip": b"PK"}, "no images"),
    ],
)
def test_a_refused_zip_leaves_nothing(tmp_path, files: dict[str, bytes], what: str) -> None:
    archive = zipped(tmp_path / "a.zip", files)
    with pytest.raises(GalleryError, match=what):
        materialise(str(archive), into=tmp_path / "g")
    assert not list((tmp_path / "g").iterdir())


@pytest.mark.parametrize(
    "source", ["nowhere", "a.txt", "a\0b", "x" * 5000, "hf:", "hf:/nowhere/at/all"]
)
@pytest.mark.slow
def test_what_is_no_source_is_refused(tmp_path, source: str, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(GalleryError):
        materialise(source, into=tmp_path / "g")
    assert not (tmp_path / "g" / "images").exists()


def test_an_interrupted_zip_is_unpacked_again(archive, tmp_path, monkeypatch, encoder) -> None:
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "unpack_images", killed)
    with pytest.raises(KeyboardInterrupt):
        materialise(str(archive), into=tmp_path / "g")
    monkeypatch.undo()
    (tmp_path / "g" / ".images.0.part").mkdir()  # as a killed process leaves it
    folder = materialise(str(archive), into=tmp_path / "g")
    assert update(tmp_path / "g", Source(folder), [encoder]).images == 12


# Hugging Face datasets, from disk


@pytest.fixture
def offline(monkeypatch) -> object:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return pytest.importorskip("datasets")


def rows(photos: Path, datasets) -> object:
    paths = sorted(photos.rglob("*.png"))[:3]
    inline = io.BytesIO()
    Image.open(paths[2]).save(inline, "WEBP", lossless=True)
    images = [str(paths[0]), str(paths[1]), {"bytes": inline.getvalue(), "path": None}, None]
    features = datasets.Features(
        {
            "photo": datasets.Image(),
            "title": datasets.Value("string"),
            "year": datasets.Value("int64"),
            "tags": datasets.Value("string"),
        }
    )
    return datasets.Dataset.from_dict(
        {
            "photo": images,
            "title": ["é", "a\u2028b", None, "none"],
            "year": [1999, 2000, 2001, 2002],
            "tags": ["x", "y", "z", "w"],
        },
        features=features,
    )


def test_a_dataset_on_disk_becomes_images_and_metadata(offline, photos, tmp_path, encoder) -> None:
    rows(photos, offline).save_to_disk(str(tmp_path / "saved"))
    folder = materialise(f"hf:{tmp_path / 'saved'}", into=tmp_path / "g")
    found = Source(folder).look().metadata.fields
    assert sorted(found) == ["0000000.png", "0000001.png", "0000002.webp"]
    assert found["0000001.png"] == {"title": "a\u2028b", "year": "2000", "tags": "y"}
    assert found["0000002.webp"] == {"year": "2001", "tags": "z"}
    original = sorted(photos.rglob("*.png"))[0]
    assert (folder / "0000000.png").read_bytes() == original.read_bytes()
    update(tmp_path / "g", Source(folder), [encoder])
    records = Gallery.open(tmp_path / "g").records
    assert [(r.title, r.extra["year"]) for r in records] == [
        ("é", "1999"),
        ("a\u2028b", "2000"),
        ("", "2001"),
    ]


def test_splits_are_named_after_a_colon(offline, photos, tmp_path) -> None:
    """A saved dictionary of splits could not be opened."""
    whole = rows(photos, offline)
    splits = offline.DatasetDict({"train": whole.select([0]), "test": whole.select([0, 1])})
    splits.save_to_disk(str(tmp_path / "saved"))
    name = f"hf:{tmp_path / 'saved'}"
    assert len(list(materialise(name, into=tmp_path / "a").glob("*.png"))) == 1
    assert len(list(materialise(f"{name}:test", into=tmp_path / "b").glob("*.png"))) == 2
    with pytest.raises(GalleryError, match="cannot be opened"):
        materialise(f"{name}:elsewhere", into=tmp_path / "c")


def test_a_dataset_without_images_is_refused(offline, tmp_path) -> None:
    offline.Dataset.from_dict({"a": [1]}).save_to_disk(str(tmp_path / "saved"))
    with pytest.raises(GalleryError, match="no column of images"):
        materialise(f"hf:{tmp_path / 'saved'}", into=tmp_path / "g")
    assert not (tmp_path / "g" / "images").exists()


def test_a_broken_dataset_is_refused(offline, photos, tmp_path) -> None:
    saved = tmp_path / "saved"
    rows(photos, offline).save_to_disk(str(saved))
    (saved / "dataset_info.json").write_text(json.dumps({"features": 3}))
    with pytest.raises(GalleryError, match="cannot be opened"):
        materialise(f"hf:{saved}", into=tmp_path / "g")


@pytest.mark.parametrize("whole", [0, 1, 2])
@pytest.mark.slow
def test_a_stop_ends_the_reading_of_rows_with_images_or_without(
    hub, photos, tmp_path, whole: int
) -> None:
    """Rows without an image asked nobody whether to go on, and the opening said nothing."""
    row = {"image": {"bytes": (photos / "01.png").read_bytes()}}
    hub([row] * whole + [{"image": None}] * 5)
    told: list[tuple[int, str]] = []

    def stop(done: int, _total: int, what: str) -> None:
        told.append((done, what))
        if what == "reading the dataset" and done == whole:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        materialise(SOURCE, into=tmp_path / "g", limits=PUBLIC, progress=stop)
    assert told[0] == (0, "opening the dataset")
    assert len(set(told)) == whole + 2  # a wait asks more than once
    assert not (tmp_path / "g" / "images").exists()


def test_unpacking_a_zip_can_be_stopped(archive, tmp_path) -> None:
    def stop(_done: int, _total: int, what: str) -> None:
        if what == "unpacking the zip":
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        materialise(str(archive), into=tmp_path / "g", progress=stop)
    assert not (tmp_path / "g" / "images").exists()


def test_without_the_package_the_error_says_what_to_install(tmp_path, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(GalleryError, match="pip install datasets"):
        materialise("hf:user/name", into=tmp_path / "g")


# Public datasets, as visitors of a hosted server name them

NAME, SOURCE = "user/name", "hf:user/name:test"
PUBLIC = SourceLimits(max_bytes=100_000, max_images=5, public=True)


SECRET = "hf_onlyTheOwnerHasIt"


@pytest.fixture
def hub(monkeypatch, tmp_path) -> Iterator[Callable[..., Hub]]:
    """A hub on this machine that has a dataset of some rows, and whose owner has a token here."""
    pytest.importorskip("datasets")
    with contextlib.ExitStack() as running:

        def made(rows: list[dict[str, object]], **more: bytes) -> Hub:
            found = running.enter_context(standing_in(dataset(NAME, rows, split="test") | more))
            for name, value in settings(found.address, tmp_path / "hub").items():
                monkeypatch.setattr(name, value)
            huggingface_hub.HfFileSystem.clear_instance_cache()
            return found

        monkeypatch.setenv("HF_TOKEN", SECRET)
        monkeypatch.setenv("NO_PROXY", "*")
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_IMPLICIT_TOKEN", False)
        yield made
    huggingface_hub.HfFileSystem.clear_instance_cache()


def fetch(folder: Path, limits: SourceLimits = PUBLIC) -> list[Path]:
    images = materialise(SOURCE, into=folder, limits=limits)
    return sorted(path for path in images.iterdir() if path.suffix == ".png")


@pytest.fixture(params=["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "file"])
def token(request, monkeypatch, tmp_path) -> str:
    """A token where the Hub's clients look for one."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "token").write_text(SECRET if request.param == "file" else "")
    monkeypatch.setattr("huggingface_hub.constants.HF_TOKEN_PATH", str(tmp_path / "token"))
    if request.param != "file":
        monkeypatch.setenv(request.param, SECRET)
    return SECRET


@pytest.mark.parametrize("limits", [PUBLIC, SourceLimits()])
def test_a_hub_that_does_not_answer_is_told_at_once(hub, tmp_path, monkeypatch, limits) -> None:
    """It was asked again and again for half a minute."""
    hub([])
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "kept"))
    with socket.socket() as silent:  # bound, and nobody listens
        silent.bind(("127.0.0.1", 0))
        for name, value in settings(
            f"http://127.0.0.1:{silent.getsockname()[1]}", tmp_path
        ).items():
            monkeypatch.setattr(name, value)
        started = time.monotonic()
        with pytest.raises(GalleryError, match="the Hub cannot be reached"):
            materialise(SOURCE, into=tmp_path / "g", limits=limits)
    assert time.monotonic() - started < 15


@pytest.mark.parametrize("limits", [PUBLIC, SourceLimits()])
@pytest.mark.slow
def test_a_dataset_that_does_not_open_can_be_stopped(hub, tmp_path, monkeypatch, limits) -> None:
    """The Hub's answer was waited for, however long it took."""
    hub([])
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "kept"))
    asked: list[str] = []

    def stop(_done: int, _total: int, what: str) -> None:
        asked.append(what)
        if len(asked) == 3:
            raise Cancelled("stopped")

    with socket.socket() as silent:  # it takes connections and says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        address = f"http://127.0.0.1:{silent.getsockname()[1]}"
        for name, value in settings(address, tmp_path).items():
            monkeypatch.setattr(name, value)
        started = time.monotonic()
        with pytest.raises(Cancelled):
            materialise(SOURCE, into=tmp_path / "g", limits=limits, progress=stop)
    assert time.monotonic() - started < 2
    assert asked == ["opening the dataset"] * 3
    assert not (tmp_path / "g" / "images").exists()


@pytest.mark.slow
def test_a_dataset_that_was_opened_before_needs_no_hub(hub, photos, tmp_path, monkeypatch) -> None:
    """The library keeps what it fetched, and asking the Hub first must not take that away."""
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "kept"))
    hub([{"image": {"bytes": (photos / "01.png").read_bytes()}}])
    (path,) = fetch(tmp_path / "g", SourceLimits())
    for name, value in settings("http://127.0.0.1:9", tmp_path / "hub").items():
        monkeypatch.setattr(name, value)
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda _: None)  # between tries
    (again,) = fetch(tmp_path / "again", SourceLimits())
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.slow
def test_a_public_dataset_is_asked_for_without_a_token(hub, token, photos, tmp_path) -> None:
    """It was read with the server's own token, and so could be a private one of its owner."""
    data = (photos / "01.png").read_bytes()
    asked = hub([{"image": {"bytes": data}, "title": "One"}])
    (path,) = fetch(tmp_path / "g")
    assert path.read_bytes() == data
    assert Source(path.parent).look().metadata.fields == {path.name: {"title": "One"}}
    assert any(each.path.endswith("0000.parquet") for each in asked.asked)
    assert asked.with_secret(token) == []
    with contextlib.suppress(
        RepositoryNotFoundError
    ):  # negative control: what has the token sends it
        huggingface_hub.HfApi().dataset_info(NAME)
    assert asked.with_secret(token)


@pytest.mark.slow
def test_reading_a_public_dataset_asks_the_hub_alone(hub, photos, tmp_path, monkeypatch) -> None:
    """The library told a server of another company which dataset was opened."""
    hosts: list[str] = []
    look_up = socket.getaddrinfo

    def kept(host: str, *more: Any, **named: Any) -> Any:
        hosts.append(host)
        return look_up(host, *more, **named)

    hub([{"image": {"bytes": (photos / "01.png").read_bytes()}}])
    monkeypatch.setattr(socket, "getaddrinfo", kept)
    fetch(tmp_path / "g")
    assert set(hosts) == {"127.0.0.1"}


@pytest.mark.parametrize("where", ["private", "address", "here"])
@pytest.mark.slow
def test_no_column_of_a_public_dataset_is_followed(hub, photos, tmp_path, where: str) -> None:
    """A second column was decoded: with the server's token, on its network and its disk."""
    data = (photos / "01.png").read_bytes()
    with canary() as forbidden:
        path = {
            "private": "hf://datasets/user/private/x.png",
            "address": f"http://127.0.0.1:{forbidden.port}/x.png",
            "here": str(photos / "no-such.png"),  # that it is read shows: it cannot be
        }[where]
        private = {"datasets/user/private@main/x.png": data}
        asked = hub([{"image": {"bytes": data}, "other": {"path": path}}], **private)
        (found,) = fetch(tmp_path / "g")
        assert found.read_bytes() == data
        assert not any("private" in each.path for each in asked.asked)
        assert forbidden.asked == []


@pytest.mark.parametrize("where", ["address", "here"])
@pytest.mark.slow
def test_what_the_card_of_a_public_dataset_names_is_not_asked(hub, photos, tmp_path, where) -> None:
    """The library looked for files at any address that a card names, private ones among them."""
    data = (photos / "01.png").read_bytes()
    with canary() as forbidden:
        address = f"http://127.0.0.1:{forbidden.port}/x.parquet"
        path = {"address": address, "here": str(photos / "01.png")}[where]
        card = f"---\nconfigs:\n- config_name: default\n  data_files: '{path}'\n---\n".encode()
        hub([{"image": {"bytes": data}}], **{f"datasets/{NAME}@main/README.md": card})
        (found,) = fetch(tmp_path / "g")
        assert found.read_bytes() == data
        assert forbidden.asked == []


@pytest.mark.parametrize("path", ["/etc/hostname", "http://127.0.0.1:9/x", "hf://datasets/a::x"])
@pytest.mark.slow
def test_an_image_of_a_public_dataset_lies_on_the_hub(hub, tmp_path, path: str) -> None:
    hub([{"image": {"path": path}}])
    with pytest.raises(GalleryError, match="names files that are not its own"):
        fetch(tmp_path / "g")


@pytest.mark.slow
def test_of_several_configurations_one_is_taken_and_of_a_large_dataset_its_beginning(
    hub, photos, tmp_path
) -> None:
    data = (photos / "01.png").read_bytes()
    table, *_ = dataset(NAME, [{"image": {"bytes": data}}, {"image": {"bytes": data}}]).values()
    root = f"datasets/{NAME}@{PARQUET}"
    others = {f"{root}/a/test/0000.parquet": table, f"{root}/b/partial-train/0.parquet": table}
    hub([{"image": {"bytes": data}}], **others)
    assert len(fetch(tmp_path / "default")) == 1
    folder = materialise(f"hf:{NAME}", into=tmp_path / "partial", limits=PUBLIC)
    assert len(list(folder.glob("*.png"))) == 2
    with pytest.raises(GalleryError, match="no tables of its split 'other'"):
        materialise(f"hf:{NAME}:other", into=tmp_path / "other", limits=PUBLIC)
    with pytest.raises(GalleryError, match="See that its name is right, that it is public"):
        materialise("hf:user/nobody", into=tmp_path / "nobody", limits=PUBLIC)


@pytest.mark.slow
def test_a_remote_file_is_read_no_further_than_an_image_may_be(hub, tmp_path) -> None:
    """It was read whole before any limit was looked at, and with the server's own token."""
    image, path = b"\x89PNG".ljust(90_000_000, b"x"), "hf://datasets/user/name/a.jpg"
    asked = hub([{"image": {"path": path}}], **{f"datasets/{NAME}@main/a.jpg": image})
    large = SourceLimits(max_bytes=50_000_000, max_images=5, public=True)
    folder = materialise(SOURCE, into=tmp_path / "g", limits=large)
    with pytest.raises(ImageError, match="too large"):
        load_image(folder / "0000000.png")
    ranges = [
        each.headers["range"]
        for each in asked.asked
        if each.path.endswith("a.jpg") and not each.is_head
    ]
    assert max(int(each.rpartition("-")[2]) for each in ranges) < 40_000_000
    assert asked.with_secret(SECRET) == []
    with pytest.raises(GalleryError, match="exceed the accepted 100,000 bytes"):
        fetch(tmp_path / "other")


def test_the_token_reaches_every_part_of_a_chained_address() -> None:
    fsspec = pytest.importorskip("fsspec")
    chained = "zip://a.jpg::hf://datasets/user/name/a.zip"
    for path in (chained, "hf://datasets/user/name/a.jpg"):
        parts = fsspec.core._un_chain(path, {"hf": {"token": False}})
        assert [options.get("token") for _, name, options in parts if name == "hf"] == [False]


@pytest.mark.parametrize("column", ["bytes", "text"])
@pytest.mark.slow
def test_what_rows_hold_counts_before_it_is_written(hub, tmp_path, column: str) -> None:
    """Texts beside the images did not count at all."""
    large, small = b"\x89PNG".ljust(60_000, b"x"), b"\x89PNG"
    image, text = (large, "") if column == "bytes" else (small, "t" * 60_000)
    hub([{"image": {"bytes": image}, "title": text} for _ in range(2)])
    with pytest.raises(GalleryError, match="exceed the accepted 100,000 bytes"):
        fetch(tmp_path / "g")
    assert list((tmp_path / "g").iterdir()) == []


@pytest.mark.slow
def test_of_an_image_that_is_too_large_only_that_is_kept(hub, tmp_path) -> None:
    hub([{"image": {"bytes": b"\x89PNG".ljust(25_000_000, b"x")}}])
    large = SourceLimits(max_bytes=50_000_000, max_images=5, public=True)
    (path,) = fetch(tmp_path / "g", large)
    assert path.stat().st_size == 20_000_001


def test_a_public_source_is_never_a_folder_or_a_format(photos, tmp_path, monkeypatch) -> None:
    """``hf:imagefolder`` is a format to the library, which then read the working directory."""
    monkeypatch.chdir(photos)
    for source in (str(photos), "hf:imagefolder", "hf:parquet", "hf:.", f"hf:{photos}", "hf:a/b/c"):
        with pytest.raises(GalleryError, match="not a dataset named as hf:user/name"):
            materialise(source, into=tmp_path / "g", limits=PUBLIC)
    with pytest.raises(GalleryError, match="not a file"):
        materialise(photos, into=tmp_path / "g", limits=PUBLIC)


@pytest.mark.slow
def test_rows_of_a_public_dataset_come_a_few_at_a_time(hub, photos) -> None:
    hub([{"image": {"bytes": (photos / "01.png").read_bytes()}}] * 40)
    loaded, _ = module.open_dataset("user/name:test", public=True)
    sizes = [table.num_rows for _, table in loaded._ex_iterable.iter_arrow()]
    assert max(sizes) == 16
    assert sum(sizes) == 40
