"""Values under the hash of their inputs, and arrays that are never unpickled."""

from __future__ import annotations

import errno
import logging
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest

from core.config import HeadConfig
from core.gallery.artefacts import Artefacts, Key, arrays, code_version, digest_of
from core.gallery.narrow import load_array
from core.values import GalleryError


@dataclass(frozen=True)
class Value:
    numbers: np.ndarray


def square(x):
    """A function whose code is that of this module."""
    return x * x


def store(folder: Path, *, writable: bool = True) -> Artefacts:
    return Artefacts(folder / "artefacts", writable=writable)


def key_of(**inputs) -> Key:
    return Key.of("squares", code_version, **inputs)


def ask(artefacts: Artefacts, key: Key, calls: list[int]) -> list[float]:
    def compute() -> Value:
        calls.append(1)
        return Value(np.arange(3.0))

    return artefacts.get(key, compute, codec=arrays(Value)).numbers.tolist()


def test_a_value_is_computed_once_for_each_key(tmp_path):
    calls: list[int] = []
    for _ in range(2):
        assert ask(store(tmp_path), key_of(n=1), calls) == [0, 1, 2]
    assert len(calls) == 1
    ask(store(tmp_path), key_of(n=2), calls)
    assert len(calls) == 2


def test_nothing_is_kept_where_nothing_may_be_written(tmp_path):
    calls: list[int] = []
    for _ in range(2):
        ask(store(tmp_path, writable=False), key_of(n=1), calls)
    assert len(calls) == 2
    assert not list(tmp_path.iterdir())


def test_every_kind_of_input_counts():
    base = {"array": np.zeros(3), "config": HeadConfig(), "names": ["a"], "n": 1}
    keys = {str(key_of(**base))}
    for name, other in {
        "array": np.zeros(4),
        "config": HeadConfig(k=3),
        "names": ["b"],
        "n": 2,
    }.items():
        keys.add(str(key_of(**{**base, name: other})))
    keys.add(str(key_of(**{**base, "array": np.zeros(3, np.float32)})))
    assert len(keys) == 6
    assert str(key_of(**base)) in keys
    with pytest.raises(TypeError, match="no input of a key"):
        digest_of(object())


def test_the_code_counts_and_its_comments_do_not(tmp_path, monkeypatch):
    """A changed formula was served what the old one had computed, unless a name was bumped."""
    versions = []
    for number, body in enumerate(
        (
            "def f(x):\n    return x + 1\n",
            '# why\n\ndef f(x):\n    """Say more."""\n    # how\n    return x + 1\n',
            "def f(x):\n    return x + 2\n",
        )
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "formula.py").write_text(body)
        monkeypatch.syspath_prepend(folder)
        code_version.cache_clear()
        versions.append(code_version.__wrapped__("formula") if number == 0 else _fresh("formula"))
    assert versions[0] == versions[1] != versions[2]


def _fresh(module: str) -> str:
    """The version of a module that another one of its name stood for before."""
    from core.gallery import artefacts  # noqa: PLC0415

    artefacts.code_version.cache_clear()
    artefacts.read_module.cache_clear()
    return artefacts.code_version(module)


def test_what_a_module_imports_counts_too():
    null, ranking = (code_version(f"core.{name}") for name in ("evidence.null", "search.ranking"))
    assert null != ranking
    assert len(null) == 8


def test_damage_is_computed_again_and_kept(tmp_path, caplog):
    calls: list[int] = []
    ask(store(tmp_path), key_of(n=1), calls)
    (path,) = tmp_path.glob("artefacts/*/numbers.npy")
    path.write_bytes(b"damaged")
    with caplog.at_level(logging.WARNING):
        assert ask(store(tmp_path), key_of(n=1), calls) == [0, 1, 2]
    assert "computed again" in caplog.text
    ask(store(tmp_path), key_of(n=1), calls)
    assert len(calls) == 2


def test_a_full_disk_costs_no_earlier_value(tmp_path, monkeypatch, caplog):
    """It was removed before the new one was written."""
    calls: list[int] = []
    ask(store(tmp_path), key_of(n=1), calls)

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "no space left")

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(np, "save", full)
        store(tmp_path).keep(key_of(n=1), Value(np.arange(4.0)), codec=arrays(Value))
    assert "could not be kept" in caplog.text
    assert ask(store(tmp_path), key_of(n=1), calls) == [0, 1, 2]
    assert len(calls) == 1
    store(tmp_path).keep(key_of(n=1), Value(np.arange(4.0)), codec=arrays(Value))
    assert ask(store(tmp_path), key_of(n=1), calls) == [0, 1, 2, 3]


def test_other_kinds_are_removed_on_request(tmp_path):
    artefacts = store(tmp_path)
    ask(artefacts, key_of(n=1), [])
    ask(artefacts, Key("others", "code", "inputs"), [])
    artefacts.keep_only("others")
    assert [path.name for path in artefacts.folder.iterdir()] == ["others-code-inputs"]


def test_an_array_is_never_unpickled(tmp_path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], object), allow_pickle=True)
    with pytest.raises(GalleryError, match=r"a\.npy is missing or damaged"):
        load_array(tmp_path / "a.npy")


@pytest.mark.parametrize("way", ["again", "newer", "only"])
def test_a_kill_leaves_no_part_of_what_was_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: str
):
    """A process killed while a value was replaced left some of its files, and a damaged gallery."""
    artefacts, key = store(tmp_path), key_of(n=1)
    ask(artefacts, key, [])

    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    monkeypatch.setattr("core.images.files.shutil.rmtree", killed)
    with pytest.raises(Killed):
        if way == "only":
            artefacts.keep_only("other")
        else:
            other = replace(key, code="older" if way == "newer" else key.code)
            artefacts.keep(other, Value(np.arange(4.0)), codec=arrays(Value))
    monkeypatch.undo()
    for folder in artefacts.folder.glob("[!.]*"):
        assert {path.name for path in folder.iterdir()} == {"numbers.npy", "files.json"}
    ask(artefacts, key_of(n=2), [])
    assert not list(artefacts.folder.glob(".squares-*"))
