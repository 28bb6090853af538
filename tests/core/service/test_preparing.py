"""Real encoders for a gallery: fetched, described beside it, once for all, and told in words."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from core.config import ServerConfig
from core.encoders.registry import NETWORKS
from core.service import Choice, Session
from core.values import Cancelled, EncoderError, GalleryError, UndescribedError
from tests import checkpoints
from tests.app import tiny
from tests.checkpoints import DINO, MOCO, Authors

HOSTED = ServerConfig(hosted=True)


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return {DINO: checkpoints.dino(), MOCO: checkpoints.moco()}


@pytest.fixture(scope="module")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(tiny.make(tmp_path_factory.mktemp("preparing")))


@pytest.fixture
def authors(
    files: dict[str, bytes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Authors]:
    with checkpoints.published(monkeypatch, tmp_path / "cache", files) as found:
        yield found


@pytest.fixture
def session(authors: Authors) -> Session:
    return Session()


def state(folder: str) -> dict[str, int]:
    kept = (path for path in Path(folder).rglob("*") if "artefacts" not in path.parts)
    return {str(path): path.stat().st_mtime_ns for path in kept if path.is_file()}


@pytest.mark.slow
def test_an_encoder_is_fetched_and_describes_a_gallery_once_for_all(
    session: Session, gallery: str, authors: Authors
) -> None:
    preparations, opened, before = session.preparations, session.gallery(gallery), state(gallery)
    offer = preparations.offer(opened, DINO)
    assert (offer.title, offer.licence) == (NETWORKS[DINO].title, "Apache-2.0")
    assert (offer.host, offer.megabytes, offer.at_least) == ("127.0.0.1", 87, False)
    assert (offer.images, offer.described, offer.refusal, offer.failure) == (24, 0, "", "")
    assert offer.seconds > 0
    with pytest.raises(UndescribedError):
        session.workspace(Choice(DINO, gallery=gallery))
    assert authors.dino.asked == []  # nothing is fetched only to say so
    told: list[str] = []
    preparations.prepare(gallery, DINO, progress=lambda *step: told.append(step[2]))
    assert [what for what in told if what.startswith("fetching")]
    assert "reading and encoding images" in told
    assert preparations.ready(opened, DINO)
    assert state(gallery) == before
    record = opened.records[5]
    answer = session.attribute(opened.root / record.path, Choice(DINO, gallery=gallery))
    assert answer.matches[0].image.sha256 == record.sha256
    workspace = session.workspace(Choice(DINO, gallery=gallery))
    assert len(workspace.collection.views[0].level_names) == 4
    another = Session()
    assert another.preparations.ready(another.gallery(gallery), DINO)
    another.preparations.prepare(gallery, DINO)
    assert authors.dino.asked == [None]


@pytest.mark.slow
def test_a_stop_while_fetching_and_while_describing_keeps_what_was_done(
    session: Session, gallery: str, authors: Authors
) -> None:
    def stop_at(start: str):
        def progress(done: int, total: int, what: str) -> None:
            if what.startswith(start) and done:
                raise Cancelled("stopped")

        return progress

    for start in ("fetching", "sampling", "reading"):
        with pytest.raises(Cancelled):
            session.preparations.prepare(gallery, DINO, progress=stop_at(start))
        assert not session.preparations.ready(session.gallery(gallery), DINO)
        assert session.preparations.offer(session.gallery(gallery), DINO).failure == ""
    told: list[str] = []
    session.preparations.prepare(gallery, DINO, progress=lambda *step: told.append(step[2]))
    assert not [what for what in told if what.startswith(("fetching", "sampling"))]
    first, second = authors.dino.asked
    assert first is None
    assert second is not None and second.startswith("bytes=")


KILLED = """
import os, signal, sys
from pathlib import Path
import pytest
from core.service import Session
from tests import checkpoints

gallery, cache = sys.argv[1:]

def progress(done, total, what):
    if what.startswith("reading") and done:
        os.kill(os.getpid(), signal.SIGKILL)

files = {checkpoints.DINO: checkpoints.dino(), checkpoints.MOCO: b""}
with checkpoints.published(pytest.MonkeyPatch(), Path(cache), files):
    Session().preparations.prepare(gallery, checkpoints.DINO, progress=progress)
"""


@pytest.mark.slow
def test_a_server_that_was_killed_goes_on_from_where_it_was(
    session: Session, gallery: str, authors: Authors, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", KILLED, gallery, str(tmp_path / "cache")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert not session.preparations.ready(session.gallery(gallery), DINO)
    told: list[str] = []
    session.preparations.prepare(gallery, DINO, progress=lambda *step: told.append(step[2]))
    assert session.preparations.ready(session.gallery(gallery), DINO)
    assert authors.dino.asked == []  # the weights had come
    assert not [what for what in told if what.startswith(("fetching", "sampling"))]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"status": 403}, "HTTP 403 Forbidden"),
        ({"cut": 3_000_000}, "peer closed connection"),
        ({"data": b"<html>not the file</html>"}, "model.safetensors"),
    ],
)
@pytest.mark.slow
def test_what_cannot_be_had_is_told_in_words_and_tried_again(
    session: Session, gallery: str, authors: Authors, change: dict, words: str
) -> None:
    opened, good = session.gallery(gallery), replace(authors.dino)
    for name, value in change.items():
        setattr(authors.dino, name, value)
    with pytest.raises(EncoderError, match=words):
        session.preparations.prepare(gallery, DINO)
    offer = session.preparations.offer(opened, DINO)
    assert words in offer.failure
    assert opened.encoder_names == ("random", "histogram")

    def stopped(*_: object) -> None:
        raise Cancelled("stopped")

    with pytest.raises(Cancelled):  # the failure of the try before was told of the one stopped
        session.preparations.prepare(gallery, DINO, progress=stopped)
    assert session.preparations.offer(opened, DINO).failure == ""
    assert session.attribute(
        opened.root / opened.records[0].path, Choice("random", gallery=gallery)
    )
    for name in change:
        setattr(authors.dino, name, getattr(good, name))
    session.preparations.prepare(gallery, DINO)
    assert session.preparations.ready(opened, DINO)


@pytest.mark.slow
def test_a_wrong_hash_is_refused(
    session: Session, gallery: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong = replace(NETWORKS[DINO], checksum=f"sha256:{'0' * 64}")
    monkeypatch.setitem(NETWORKS, DINO, wrong)
    with pytest.raises(EncoderError, match=r"model\.safetensors is damaged: its sha256 is"):
        session.preparations.prepare(gallery, DINO)
    assert not session.preparations.ready(session.gallery(gallery), DINO)


@pytest.mark.slow
def test_visitors_of_a_server_do_not_make_it_fetch(authors: Authors) -> None:
    session = Session(server=HOSTED)
    offer = session.preparations.offer(session.gallery(), DINO)
    assert "WELLSPRING_ENCODERS" in offer.refusal and DINO in offer.refusal
    for ask in (
        lambda: session.preparations.prepare("builtin", DINO),
        lambda: session.encoder(DINO),
        lambda: session.workspace(Choice(DINO)),
    ):
        with pytest.raises((EncoderError, UndescribedError)):
            ask()
    listed = Session(server=replace(HOSTED, encoders=(DINO,)))
    assert listed.preparations.offer(listed.gallery(), DINO).refusal == ""
    assert session.preparations.offer(session.gallery(), "moco").refusal == ""  # it is bundled
    assert authors.dino.asked == []


@pytest.mark.slow
def test_a_visitor_s_own_gallery_has_its_descriptions_with_it(
    authors: Authors, tmp_path: Path
) -> None:
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as packed:
        for seed in range(3):
            packed.write(tiny.draw(tmp_path / f"{seed}.png", seed), f"{seed}.png")
    session, mine, other = Session(server=HOSTED), "somebody0", "somebody1"
    name, _ = session.library.build(tmp_path / "own.zip", ["histogram"], visitor=mine)
    session.preparations.prepare(name, "random", visitor=mine)
    gallery = session.gallery(name, visitor=mine)
    assert session.preparations.ready(gallery, "random")
    assert gallery.descriptions is not None
    assert gallery.descriptions.is_relative_to(session.visitors.root() / mine)
    with pytest.raises(GalleryError):
        session.preparations.prepare(name, "random", visitor=other)
    session.visitors.clock = lambda: 1e12
    assert session.visitors.expire() == 1  # who was refused left nothing
    assert not gallery.descriptions.exists()


@pytest.mark.slow
def test_what_the_settings_name_is_prepared_at_start_and_a_failure_costs_no_other(
    authors: Authors, gallery: str
) -> None:
    authors.dino.status = 500
    session = Session(server=ServerConfig(encoders=(DINO, "typo", MOCO)))
    opened = session.gallery(gallery)
    before = session.preparations.status(opened)
    assert [(each.name, each.ready, each.failure) for each in before] == [
        (DINO, False, ""),
        ("typo", False, ""),
        (MOCO, False, ""),
    ]
    thread = session.preparations.begin(gallery)
    assert thread is not None
    thread.join(100)
    dino, typo, moco = session.preparations.status(opened)
    assert "HTTP 500" in dino.failure
    assert "no encoder is called 'typo'" in typo.failure
    assert (moco.ready, moco.failure) == (True, "")
    assert Session().preparations.begin(gallery) is None


@pytest.mark.slow
def test_two_visitors_share_one_preparation(
    session: Session, gallery: str, authors: Authors
) -> None:
    authors.dino.pause = 0.05
    told: list[list[str]] = [[], []]
    threads = [
        threading.Thread(
            target=session.preparations.prepare,
            args=(gallery, DINO),
            kwargs={"progress": lambda *step, heard=heard: heard.append(step[2])},
        )
        for heard in told
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(100)
    assert session.preparations.ready(session.gallery(gallery), DINO)
    assert authors.dino.asked == [None]
    assert all(any(what.startswith("fetching") for what in heard) for heard in told)


@pytest.mark.slow
def test_a_machine_learns_how_fast_it_is(session: Session, gallery: str) -> None:
    opened, preparations = session.gallery(gallery), session.preparations
    preparations.prepare(gallery, DINO)
    kept = preparations.speeds.file.read_text()
    assert "encode on cpu" in kept and "finish on cpu" in kept
    learned = preparations.offer(opened, MOCO).seconds
    preparations.speeds.file.write_text("{broken")
    assert preparations.offer(opened, MOCO).seconds != learned
