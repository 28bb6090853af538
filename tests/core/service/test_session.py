from __future__ import annotations

import dataclasses
import gc
import json
import shutil
import threading
import weakref
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from core.config import HeadConfig, ScoreConfig, ServerConfig
from core.encoders.baselines import BASELINES
from core.gallery.build import update
from core.gallery.gallery import Gallery
from core.gallery.remove import remove
from core.gallery.source import Source
from core.heads.head import Head, LinearHead
from core.search.prepare import fitted_head
from core.service import heads
from core.service import opening as module
from core.service.choice import Choice
from core.service.heads import choose_head
from core.service.session import Session
from core.values import (
    EncoderError,
    GalleryError,
    ImageError,
    WellspringError,
)

PLAIN = BASELINES["thumbnail"]()
VISITOR = "some-visitor"


@pytest.fixture
def folder(photos, tmp_path) -> Path:
    update(tmp_path / "g", Source(photos), [PLAIN])
    return tmp_path / "g"


@pytest.fixture
def choice(folder) -> Choice:
    return Choice("thumbnail", gallery=str(folder))


@pytest.fixture
def session() -> Session:
    return Session()


@pytest.fixture
def builtin(folder, monkeypatch) -> Path:
    monkeypatch.setattr(module, "SHIPPED", folder)
    monkeypatch.setattr("core.gallery.gallery.SHIPPED", folder)
    return folder


# Answers


@pytest.mark.parametrize("head", ["default", "center", "whiten"])
@pytest.mark.slow
def test_every_gallery_image_finds_itself_first(session, choice, folder, photos, head) -> None:
    choice = dataclasses.replace(choice, head=head)
    for record in Gallery.open(folder).records:
        for image in (photos / record.path, (photos / record.path).read_bytes()):
            best = session.attribute(image, choice, top=3).matches[0]
            assert best.image.id == record.id
            assert best.cosine == pytest.approx(1, abs=1e-3)


def test_a_large_photograph_is_read_at_the_scale_of_the_gallery(session, tmp_path) -> None:
    """Queries were decoded at full scale, galleries at a reduced one: their features differed."""
    noise = np.random.default_rng(0).integers(0, 256, (3, 900, 1100, 3), dtype=np.uint8)
    for number, pixels in enumerate(noise):
        (tmp_path / "big").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "big" / f"{number}.jpg")
    plain = BASELINES["histogram"]()
    update(tmp_path / "g", Source(tmp_path / "big"), [plain])
    choice = Choice("histogram", "identity", str(tmp_path / "g"))
    best = session.attribute(tmp_path / "big" / "1.jpg", choice).matches[0]
    assert best.image.path == "1.jpg"
    assert best.cosine == pytest.approx(1, abs=1e-3)


def test_an_answer_says_what_it_was_made_with_and_adds_up(session, choice, folder, photos) -> None:
    found = session.attribute(photos / "01.png", choice, top=5)
    gallery = Gallery.open(folder)
    assert found.gallery == f"g@{gallery.identity}"
    assert found.encoder == f"thumbnail@{PLAIN.identity}"
    assert found.head.startswith("identity-192@")
    assert len(found.matches) == 5
    assert found.identical == found.matches[0].image.id
    assert [m.score for m in found.matches] == sorted(m.score for m in found.matches)[::-1]


def test_an_explanation_sums_to_the_cosine(session, choice, photos) -> None:
    found = session.attribute(photos / "01.png", choice, top=1)
    why = session.explain(photos / "02.png", found.matches[0].image.id, choice, top=192)
    assert sum(c.value for c in why.contributions) == pytest.approx(why.cosine, abs=1e-5)
    assert why.match == found.matches[0].image


@pytest.mark.parametrize("bad", [b"", b"text", Path("/nowhere.png"), Path("/")])
@pytest.mark.slow
def test_what_is_no_image_is_refused(session, choice, bad: bytes | Path) -> None:
    with pytest.raises(ImageError):
        session.attribute(bad, choice)


# Pixels of gallery images


def test_pixels_come_from_the_original_or_else_from_the_thumbnail(
    session, folder, photos, write_image
) -> None:
    """An original that had changed since was shown in the place of the image that matched."""
    gallery = session.gallery(str(folder))
    kept, gone, changed = gallery.records[:3]
    (photos / gone.path).unlink()
    truth = np.asarray(Image.open(photos / changed.path), float)
    write_image(photos / changed.path, 99)
    same = np.asarray(session.source_image(gallery, kept.id))
    np.testing.assert_array_equal(same, np.asarray(Image.open(photos / kept.path)))
    assert session.source_image(gallery, gone.id).size == (48, 40)
    shown = np.asarray(session.source_image(gallery, changed.id), float)
    assert np.abs(shown - truth).mean() < 10
    assert session.thumbnails(gallery, [gone]) == [gallery.store.thumbnail(gone.sha256)]


def test_a_lost_thumbnail_is_an_error_only_when_the_original_is_gone(
    session, folder, photos
) -> None:
    gallery = session.gallery(str(folder))
    record = gallery.records[0]
    gallery.store.thumbnail(record.sha256).unlink()
    assert session.source_image(gallery, record.id).size == (48, 40)
    (photos / record.path).unlink()
    with pytest.raises(GalleryError, match="nor its thumbnail"):
        session.source_image(gallery, record.id)
    with pytest.raises(GalleryError, match="id 99"):
        session.source_image(gallery, 99)


# Caches


@pytest.mark.slow
def test_equal_choices_share_a_workspace(session, choice, folder) -> None:
    first = session.workspace(choice)
    assert session.workspace(Choice("thumbnail", gallery=str(folder))) is first
    assert session.gallery(str(folder)) is first.gallery
    for other in (
        dataclasses.replace(choice, head="center"),
        dataclasses.replace(choice, score=ScoreConfig(local_scaling=False)),
    ):
        assert session.workspace(other) is not first


@pytest.mark.slow
def test_a_changed_gallery_gets_a_new_workspace(session, choice, folder, photos) -> None:
    first = session.workspace(choice)
    remove(folder, [first.gallery.records[0].id])
    second = session.workspace(choice)
    assert second is not first
    assert len(second.gallery) == 11
    shutil.rmtree(folder)
    with pytest.raises(GalleryError, match="is not a gallery"):
        session.workspace(choice)
    update(folder, Source(photos, ("01.png", "02.png")), [PLAIN])
    assert len(session.workspace(choice).gallery) == 2


@pytest.mark.slow
def test_eight_threads_load_once_and_agree(choice, photos, monkeypatch) -> None:
    session, loads, together = Session(), [], threading.Barrier(8)
    load, fit = module.load_encoder, heads.fitted_head

    def counted(name: str, **options: object) -> object:
        loads.append(name)
        return load(name, **options)

    def counted_fit(*args: object, **options: object) -> Head:
        loads.append("head")
        return fit(*args, **options)

    monkeypatch.setattr(module, "load_encoder", counted)
    monkeypatch.setattr(heads, "fitted_head", counted_fit)

    def ask(number: int) -> tuple[object, object]:
        together.wait(20)
        found = session.attribute(photos / f"{number % 2 + 1:02d}.png", choice, top=3)
        return session.workspace(choice), found.matches[0].image.path

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(ask, range(8)))
    assert sorted(loads) == ["head", "thumbnail"]
    assert len({id(workspace) for workspace, _ in found}) == 1
    assert [path for _, path in found] == ["01.png", "02.png"] * 4


@pytest.mark.parametrize("name", ["", "a\0b", "x" * 5000, "/nowhere", "/etc/passwd"])
def test_what_is_no_gallery_is_refused(session, name: str, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(GalleryError):
        session.gallery(name)


def test_a_failure_is_not_remembered(session, choice, folder) -> None:
    moved = folder.rename(folder.with_name("moved"))
    with pytest.raises(GalleryError):
        session.workspace(choice)
    moved.rename(folder)
    assert len(session.workspace(choice).gallery) == 12


@pytest.mark.slow
def test_what_is_remembered_is_bounded(session, choice, monkeypatch) -> None:
    """Every gallery that any visitor ever had stayed in memory."""
    monkeypatch.setitem(module.REMEMBERED, "workspace", 3)
    first = session.workspace(choice)
    others = [
        weakref.ref(session.workspace(dataclasses.replace(choice, score=ScoreConfig(candidates=n))))
        for n in range(1, 8)
    ]
    gc.collect()
    assert [other() is not None for other in others] == [False] * 4 + [True] * 3
    assert session.workspace(choice) is not first
    assert session.encoder(choice.encoder) is first.encoder  # those few are kept


# Heads and encoders


def test_heads_are_named_by_kind_or_folder(folder, tmp_path) -> None:
    gallery = Gallery.open(folder)
    assert choose_head(gallery, PLAIN, "default").config.kind == "identity"
    for kind in ("identity", "center", "whiten", "logdet"):
        assert choose_head(gallery, PLAIN, kind).config.kind == kind
    own = fitted_head(gallery, PLAIN, config=HeadConfig(kind="whiten", k=3))
    own.save(tmp_path / "head")
    assert choose_head(gallery, PLAIN, str(tmp_path / "head")).identity == own.identity


def test_wrong_heads_are_refused(folder, photos, tmp_path) -> None:
    gallery = Gallery.open(folder)
    for spec in ("bad", "", str(photos), str(tmp_path / "nowhere")):
        with pytest.raises(GalleryError):
            choose_head(gallery, PLAIN, spec)
    zeros = np.zeros(7, np.float32)
    Head(HeadConfig(kind="identity"), (LinearHead(zeros, zeros),)).save(tmp_path / "head")
    with pytest.raises(GalleryError, match="takes 7 features, thumbnail gives 192"):
        choose_head(gallery, PLAIN, str(tmp_path / "head"))


def test_an_encoder_that_the_gallery_lacks_is_refused_with_what_it_has(session, choice) -> None:
    with pytest.raises(GalleryError, match=r"no features of encoder 'phash' .*thumbnail@"):
        session.workspace(dataclasses.replace(choice, encoder="phash"))


def test_the_builtin_gallery_is_not_written_to(session, builtin, photos) -> None:
    before = sorted(builtin.rglob("*"))
    found = session.attribute(photos / "01.png", Choice("thumbnail", "whiten"), top=2)
    assert found.matches[0].image.path == "01.png"
    assert sorted(builtin.rglob("*")) == before


# Hosted


@pytest.fixture
def hosted(builtin) -> Session:
    return Session(server=ServerConfig(hosted=True))


@pytest.fixture
def uploaded(hosted, photos, tmp_path) -> str:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for path in photos.glob("*.png"):
            archive.write(path, path.name)
    return hosted.library.build(tmp_path / "a.zip", ["thumbnail"], visitor=VISITOR)[0]


@pytest.mark.slow
def test_a_visitor_asks_the_embedded_gallery_and_an_own_one(hosted, uploaded, photos) -> None:
    for gallery in ("builtin", uploaded):
        choice = Choice("thumbnail", gallery=gallery)
        found = hosted.attribute(photos / "01.png", choice, visitor=VISITOR)
        assert found.matches[0].image.path == "01.png"


@pytest.mark.slow
def test_a_hosted_server_takes_no_paths_and_tells_none(
    hosted, uploaded, folder, photos, tmp_path
) -> None:
    head = fitted_head(Gallery.open(folder), PLAIN, config=HeadConfig(kind="center"))
    head.save(tmp_path / "head")
    query = (photos / "01.png").read_bytes()
    good = Choice("thumbnail", gallery=uploaded)
    wrong = [
        {"gallery": str(folder)},
        {"gallery": f"../../../{folder}"},
        {"gallery": "."},
        {"gallery": "0" * 32},
        {"encoder": str(photos)},
        {"encoder": "../moco"},
        {"encoder": "phash"},
        {"head": str(tmp_path / "head")},
        {"head": "."},
    ]
    messages = []
    for change in wrong:
        with pytest.raises((GalleryError, EncoderError)) as raised:
            hosted.attribute(query, dataclasses.replace(good, **change), visitor=VISITOR)
        messages.append(str(raised.value).replace(change.get("gallery", "\0"), "…"))
    for visitor in ("", "other-visitor", "../../etc"):
        with pytest.raises(GalleryError) as raised:
            hosted.attribute(query, good, visitor=visitor)
        messages.append(str(raised.value))
    with pytest.raises(ImageError) as refused:
        hosted.attribute(b"text", good, visitor=VISITOR)
    answer = hosted.attribute(query, good, visitor=VISITOR)
    messages += [str(refused.value), json.dumps(dataclasses.asdict(answer))]
    server = [str(tmp_path), str(hosted.visitors.root()), str(Path.home()), "/tmp"]
    asked = [str(change.get("encoder", change.get("head", "\0"))) for change in wrong]
    for message in messages:
        for echo in asked:
            message = message.replace(repr(echo), "…")
        assert not any(path in message for path in server), message


@pytest.mark.slow
def test_damage_of_a_visitor_s_gallery_is_told_without_paths(hosted, uploaded, photos) -> None:
    folder = hosted.visitors.gallery(VISITOR, uploaded)
    choice = Choice("thumbnail", gallery=uploaded)
    gallery = Gallery.open(folder)
    damaged = [*gallery.folder.glob("*/features.npy"), gallery.folder / "manifest.parquet"]
    for path in (*damaged, folder / "gallery.json"):
        path.write_bytes(b"x")
        fresh = Session(server=hosted.server)  # remembers nothing
        fresh.visitors = hosted.visitors
        with pytest.raises(WellspringError) as raised:
            fresh.attribute((photos / "01.png").read_bytes(), choice, visitor=VISITOR)
        assert str(hosted.visitors.root()) not in str(raised.value)
        assert "damaged" in str(raised.value)


def test_the_builtin_gallery_named_by_its_folder_keeps_nothing(session, builtin) -> None:
    """Looking at it by its folder wrote into the program's own files."""
    before = sorted(builtin.rglob("*"))
    session.workspace(Choice("thumbnail", gallery=str(builtin)))
    assert sorted(builtin.rglob("*")) == before
