"""A head: unit embeddings, and every bit of it on disk."""

import dataclasses
import json

import numpy as np
import pytest

from core.config import HeadConfig
from core.heads.fit import HeadFitter, fit_head
from core.heads.head import CHUNK, Head, LinearHead
from core.values import Cancelled, GalleryError, Level
from tests.core.heads.made import KINDS, ill_conditioned, unit

# Disk and identity


@pytest.mark.parametrize("kind", KINDS)
def test_save_and_load_keep_every_bit(kind, tmp_path):
    head = fit_head(ill_conditioned(), config=HeadConfig(kind=kind, k=6))
    head.save(tmp_path / "new" / "head")
    head.save(tmp_path / "new" / "head")  # over the first
    loaded = Head.load(tmp_path / "new" / "head")
    assert loaded.config == head.config
    assert loaded.identity == head.identity
    np.testing.assert_array_equal(
        loaded(ill_conditioned(), role="query"), head(ill_conditioned(), role="query")
    )
    files = sorted(path.name for path in (tmp_path / "new" / "head").iterdir())
    assert files == ["head.json", "head.safetensors"]


def test_identity_changes_with_every_part():
    head = fit_head(ill_conditioned(), config=HeadConfig(k=6))
    (part,) = head.parts
    changed = [
        dataclasses.replace(head, parts=(dataclasses.replace(part, **{name: moved}),))
        for name in ("mean_gallery", "mean_query", "matrix")
        for moved in [np.nextafter(getattr(part, name), np.float32(9))]
    ]
    changed += [
        dataclasses.replace(head, config=dataclasses.replace(head.config, **change))
        for change in ({"k": 7}, {"shrinkage": 0.1}, {"seed": 1}, {"max_samples": 9})
    ]
    identities = {each.identity for each in (head, *changed)}
    assert len(identities) == len(changed) + 1
    assert all(len(identity) == 16 and int(identity, 16) >= 0 for identity in identities)
    assert dataclasses.replace(head).identity == head.identity


def test_names_say_kind_and_dimensions():
    features = ill_conditioned()
    assert fit_head(features, config=HeadConfig(k=6)).name == "whiten-6"
    assert fit_head(features, config=HeadConfig(kind="center")).name == "center-12"
    apart = HeadConfig(k=6, per_domain=True)
    assert fit_head(features, config=apart, synthetic=features).name == "whiten-6-per-domain"


def _truncate(folder):
    path = folder / "head.safetensors"
    path.write_bytes(path.read_bytes()[:-5])


def _flip(folder):
    path = folder / "head.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + bytes([path.read_bytes()[-1] ^ 1]))


def _edit(**changes):
    def edit(folder):
        card = json.loads((folder / "head.json").read_text())
        card["config"].update(changes)
        (folder / "head.json").write_text(json.dumps(card))

    return edit


DAMAGE = {
    "lost arrays": lambda folder: (folder / "head.safetensors").unlink(),
    "lost card": lambda folder: (folder / "head.json").unlink(),
    "truncated": _truncate,
    "flipped bit": _flip,
    "text for arrays": lambda folder: (folder / "head.safetensors").write_text("hello"),
    "no json": lambda folder: (folder / "head.json").write_text("{"),
    "not utf-8": lambda folder: (folder / "head.json").write_bytes(b"\xff\xfe\xff"),
    "another json": lambda folder: (folder / "head.json").write_text("[]"),
    "empty json": lambda folder: (folder / "head.json").write_text("{}"),
    "other config": _edit(shrinkage=0.5),
    "unknown setting": _edit(colour="red"),
    "bad setting": _edit(k=-1),
    "folder for a file": lambda folder: (
        (folder / "head.json").unlink(),
        (folder / "head.json").mkdir(),
    ),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damaged_files_are_refused(damage, tmp_path):
    fit_head(ill_conditioned(), config=HeadConfig(k=6)).save(tmp_path)
    damage(tmp_path)
    with pytest.raises(GalleryError, match=r"damaged|cannot be read") as caught:
        Head.load(tmp_path)
    assert str(tmp_path) not in str(caught.value)


def test_a_failed_write_keeps_the_old_head(tmp_path, monkeypatch):
    old = fit_head(ill_conditioned(), config=HeadConfig(k=6))
    old.save(tmp_path)

    def full(path, _data):
        path.touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.write_bytes", full)
    with pytest.raises(GalleryError, match="No space left"):
        fit_head(ill_conditioned(), config=HeadConfig(k=4)).save(tmp_path)
    monkeypatch.undo()
    assert Head.load(tmp_path).identity == old.identity
    assert len(list(tmp_path.iterdir())) == 2


# Bad input


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("kind", ["identity", "whiten"])
def test_rows_that_are_not_finite_are_named(bad, kind):
    features = ill_conditioned()
    head = fit_head(features, config=HeadConfig(kind=kind))
    fitter = HeadFitter(HeadConfig(kind=kind), 12)
    fitter.update(features[:100])
    features[103, 4] = bad
    with pytest.raises(ValueError, match="row 103"):
        head(features, role="query")
    with pytest.raises(ValueError, match="row 103"):
        fitter.update(features[100:])


def test_finite_features_that_overflow_are_named():
    features = ill_conditioned()
    head = fit_head(features, config=HeadConfig())
    features[5] = np.finfo(np.float32).max
    with pytest.raises(ValueError, match="row 5"):
        head(features, role="query")


def test_features_of_another_width_are_refused():
    head = fit_head(ill_conditioned(), config=HeadConfig())
    with pytest.raises(ValueError, match=r"\(n, 12\)"):
        head(np.zeros((2, 11), np.float32), role="query")
    with pytest.raises(ValueError, match=r"\(n, 12\)"):
        HeadFitter(HeadConfig(), 12).update(np.zeros((2, 13), np.float32))


def test_zero_rows_stay_zero():
    features = np.zeros((3, 4), np.float32)
    features[1] = 1
    head = fit_head(features, config=HeadConfig(kind="identity"))
    np.testing.assert_array_equal(head(features, role="gallery")[[0, 2]], 0)
    assert len(head(features[:0], role="gallery")) == 0


def test_one_image_is_enough_for_the_identity():
    features = ill_conditioned(n=1)
    head = fit_head(features, config=HeadConfig(kind="identity"))
    assert head.parts[0].matrix is None
    np.testing.assert_allclose(head(features, role="query"), unit(features), atol=1e-6)


def test_arrays_that_do_not_fit_are_refused():
    mean = np.zeros(4, np.float32)
    with pytest.raises((ValueError, TypeError), match="matrix"):
        LinearHead(mean, mean, np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match="finite float32"):
        LinearHead(mean, mean, np.full((4, 2), np.nan, np.float32))
    with pytest.raises(ValueError, match="finite float32"):
        LinearHead(mean, mean.astype(np.float64))


# Levels

LEVELS = (Level("early", 4, 0.5), Level("late", 8, 1.5))


@pytest.mark.parametrize("kind", KINDS)
def test_the_cosine_is_the_weighted_mean_of_the_cosines_of_the_levels(kind):
    features, config = ill_conditioned(), HeadConfig(kind=kind, k=6)
    head = fit_head(features, config=config, levels=LEVELS)
    early, late = (
        fit_head(part, config=config)(part, role="gallery")
        for part in (features[:, :4], features[:, 4:])
    )
    rows = head(features, role="gallery")
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-5)
    expected = 0.25 * early @ early.T + 0.75 * late @ late.T
    np.testing.assert_allclose(rows @ rows.T, expected, atol=1e-5)


def test_levels_are_kept_on_disk_and_part_of_the_identity(tmp_path):
    head = fit_head(ill_conditioned(), config=HeadConfig(k=6), levels=LEVELS)
    head.save(tmp_path)
    loaded = Head.load(tmp_path)
    assert loaded.weights == (0.5, 1.5)
    assert loaded.identity == head.identity
    assert loaded.name == "whiten-10"
    assert dataclasses.replace(head, weights=(0.5, 1.0)).identity != head.identity


def test_a_head_written_before_there_were_levels_is_read(tmp_path):
    head = fit_head(ill_conditioned(), config=HeadConfig(k=6))
    head.save(tmp_path)
    card = json.loads((tmp_path / "head.json").read_text())
    del card["weights"]
    (tmp_path / "head.json").write_text(json.dumps(card))
    assert Head.load(tmp_path).identity == head.identity


def test_leading_dimensions_come_from_all_levels_in_turn():
    head = fit_head(ill_conditioned(), config=HeadConfig(k=6), levels=LEVELS)
    assert head.order.tolist() == [0, 4, 1, 5, 2, 6, 3, 7, 8, 9]
    assert fit_head(ill_conditioned(), config=HeadConfig(kind="center")).order is None


def test_levels_of_another_width_are_refused():
    with pytest.raises(ValueError, match="12 features"):
        fit_head(ill_conditioned(), config=HeadConfig(), levels=LEVELS[:1])
    (part,) = fit_head(ill_conditioned(), config=HeadConfig(k=6)).parts
    with pytest.raises(ValueError, match="as many weights"):
        Head(HeadConfig(), (part, part), (1.0,))


def test_embedding_many_rows_tells_of_blocks_and_is_stopped_between_them():
    """The 16 seconds that a million images take could not be stopped."""
    head = fit_head(ill_conditioned(), config=HeadConfig(kind="identity"))
    rows = np.repeat(ill_conditioned()[:1], 2 * CHUNK + 1, axis=0)
    told: list[int] = []

    def stop(done: int, total: int, _what: str) -> None:
        told.append(done)
        assert total == len(rows)
        if done == CHUNK:
            raise Cancelled("stopped")

    with pytest.raises(Cancelled):
        head(rows, role="gallery", progress=stop)
    assert told == [0, CHUNK]
