"""What follows from a gallery's data, computed once and kept under the hash of all its inputs.

A key names a value by everything that it depends on: the data and the settings that are given, and
the source text of the code that computes it. Whatever of these changes, the key changes with it, so
that nothing stale is ever read.
"""

from __future__ import annotations

import ast
import contextlib
import functools
import hashlib
import importlib.util
import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast

import numpy as np

from core.gallery.checksums import write_listing
from core.gallery.narrow import load_array
from core.images.arrays import save_array
from core.images.files import new_folder, remove_abandoned, remove_folder
from core.values import GalleryError

logger = logging.getLogger(__name__)

T = TypeVar("T")

_DATA = ("core.values", "core.config", "core.images", "core.gallery", "core.encoders")
# What these give comes into a key by its contents, not by their code.
_LOOKED_AT = 64_000_000  # bytes of an array whose values are looked at when it is opened


@dataclass(frozen=True)
class Codec(Generic[T]):
    """How a value lies in a folder of its own."""

    save: Callable[[T, Path], object]
    load: Callable[[Path], T]
    """Raises ``GalleryError`` for what is missing or damaged."""


@dataclass(frozen=True)
class Key:
    """The name of a value: its kind, the version of its code, and the hash of its inputs."""

    kind: str
    code: str
    inputs: str

    @classmethod
    def of(cls, kind: str, compute: Callable[..., object], **inputs: object) -> Key:
        """The key of what a function computes from these inputs.

        Args:
            kind: what the value is, such as ``null``.
            compute: the function; its module and what that imports are the code.
            inputs: everything else that the value depends on: identities, numbers, settings.
        """
        return cls(kind, code_version(compute.__module__), digest_of(inputs))

    def __str__(self) -> str:
        return f"{self.kind}-{self.code}-{self.inputs}"


class Artefacts:
    """The values kept for one generation of a gallery."""

    def __init__(
        self,
        folder: Path,
        *,
        writable: bool,
        fallback: Path | None = None,
        earlier: Sequence[Path] = (),
    ) -> None:
        """Take a folder, there or not.

        Args:
            folder: where values lie.
            writable: whether what is computed is kept there.
            fallback: where else values lie, and are kept if they must not be kept in the folder.
            earlier: where those of other states of the gallery lie, see :meth:`latest`.
        """
        self.folder, self.fallback, self.earlier = folder, fallback, tuple(earlier)
        self.kept_in = folder if writable else fallback

    def get(self, key: Key, compute: Callable[[], T], *, codec: Codec[T]) -> T:
        """The value of a key; computed where it is not kept, or what is kept is damaged."""
        found = _first(filter(None, (self.folder, self.fallback)), key, codec)
        if found is not None:
            return found
        value = compute()
        self.keep(key, value, codec=codec)
        return value

    def latest(self, key: Key, *, codec: Codec[T]) -> T | None:
        """What was last kept under a key here, or else in another state of the gallery.

        For values that say themselves what they are of, such as pairs of images by their contents.
        """
        return _first(filter(None, (self.folder, self.fallback, *self.earlier)), key, codec)

    def all_of(self, kind: str, *, codec: Codec[T], now: bool) -> dict[Path, T]:
        """All whole values of a kind, of this state or of the others, by where they are kept."""
        own = [self.folder, *filter(None, [self.fallback])]
        places = own if now else [place for place in self.earlier if place != self.folder]
        found: dict[Path, T] = {}
        for folder in (path for place in places for path in sorted(place.glob(f"{kind}-*-*"))):
            with contextlib.suppress(GalleryError):
                found[folder] = codec.load(folder)
        return found

    def keep(self, key: Key, value: T, *, codec: Codec[T]) -> None:
        """Keep a value, in the place of that of its key, where that is allowed."""
        if self.kept_in is not None and self.kept_in.parent.is_dir():
            self._keep(value, self.kept_in / str(key), key, codec)

    def keep_only(self, *kinds: str) -> None:
        """Remove the values of all other kinds."""
        for path in self.folder.glob("[!.]*"):
            if not path.name.startswith(tuple(f"{kind}-" for kind in kinds)):
                remove_folder(path)

    def _keep(self, value: T, folder: Path, key: Key, codec: Codec[T]) -> None:
        """Write a value, in the place of those of its kind that older code computed."""
        remove_abandoned(folder.parent.glob(f".{key.kind}-*.part"))
        try:
            with new_folder(folder, over=True) as partial:
                codec.save(value, partial)
                write_listing(partial)
        except (OSError, GalleryError) as error:  # a full disk; it is only slower next time
            logger.warning("%s could not be kept: %s", folder.name, error)
        for old in folder.parent.glob(f"{key.kind}-*-*"):
            if not old.name.startswith(f"{key.kind}-{key.code}-"):
                remove_folder(old)


def _first(places: Iterable[Path], key: Key, codec: Codec[T]) -> T | None:
    """The value of a key in the first place that has it whole."""
    for place in places:
        folder = place / str(key)
        if not folder.is_dir():
            continue
        try:
            return codec.load(folder)
        except GalleryError as error:
            logger.warning("%s is computed again: %s", folder.name, error)
    return None


def arrays(
    kind: type[T], *, whole: Callable[[Mapping[str, np.ndarray]], bool] = lambda _: True
) -> Codec[T]:
    """The codec of a dataclass whose fields are all arrays: one file each, memory-mapped.

    Args:
        kind: the dataclass.
        whole: whether arrays, by field, are such a value; finite numbers are seen to here.
    """
    names = [each.name for each in fields(cast(Any, kind))]

    def load(folder: Path) -> T:
        found = {name: load_array(folder / f"{name}.npy") for name in names}
        if not (all(map(_is_finite, found.values())) and whole(found)):
            raise GalleryError("its values are damaged")
        return kind(**found)

    def save(value: T, folder: Path) -> None:
        for name in names:
            save_array(folder / f"{name}.npy", getattr(value, name))

    return Codec(save, load)


def digest_of(value: object) -> str:
    """Hash of plain values, settings and arrays, 16 hexadecimal digits."""
    text = json.dumps(value, sort_keys=True, default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def code_version(module: str) -> str:
    """Hash of the source of a module and of what it imports of ours, 8 hexadecimal digits.

    Comments, docstrings and blank lines do not count, nor do the packages that only hold data,
    whose contents are inputs by themselves.
    """
    digest = hashlib.sha256()
    seen: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name in seen or (name.startswith(_DATA) and name != module):
            continue
        seen.add(name)
        waiting += read_module(name).imports
    for name in sorted(seen):
        digest.update(f"{name}\n{read_module(name).code}\n".encode())
    return digest.hexdigest()[:8]


def _plain(value: object) -> Any:
    if isinstance(value, np.ndarray):
        data = np.ascontiguousarray(value)
        return f"{data.dtype}{data.shape}{hashlib.sha256(data.tobytes()).hexdigest()}"
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"{type(value).__name__} is no input of a key")


def _source_of(module: str) -> str:
    """The text of a module."""
    found = importlib.util.find_spec(module)
    assert found is not None and found.origin is not None, module
    return Path(found.origin).read_text(encoding="utf-8")


class _Module(NamedTuple):
    imports: list[str]
    """Names of the modules of ours that it imports."""
    code: str
    """Its source without docstrings, comments and blank lines; the same for every Python."""


@functools.cache
def read_module(module: str) -> _Module:
    """What matters of a module, parsed once: several versions have modules in common."""
    source, imports = _source_of(module), list[str]()
    lines = source.splitlines()
    for node in _statements(ast.parse(source)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("core."):
            imports.append(node.module or "")
        elif isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names if alias.name.startswith("core.")]
        elif (
            isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        ):
            for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                lines[number] = ""
    kept = (line.rstrip() for line in lines)
    code = "\n".join(line for line in kept if line and not line.lstrip().startswith("#"))
    return _Module(imports, code)


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """All statements within a node; what they compute is not looked at, which takes long."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, (ast.stmt, ast.excepthandler, ast.match_case)):
            yield child
            yield from _statements(child)


def _is_finite(array: np.ndarray) -> bool:
    """Whether all values are finite; large arrays are taken as they are."""
    if array.dtype.kind != "f" or array.nbytes > _LOOKED_AT:
        return True
    return bool(np.isfinite(array).all())
