"""Where a table of LanceDB lies: made, opened and deleted, and what its library raises."""

from __future__ import annotations

import contextlib
import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from core.values import GalleryError, first_line

FORMAT = "1"
"""Version of what the table holds; raised with every change that older code would misread."""

SETTING = "WELLSPRING_LANCE"
"""Environment variable: beginnings of the URIs at which tables may lie, with commas between."""

_FORMAT_KEY = b"wellspring"
_REMEDY = (
    "see that it is there and can be read, or write it anew: index again with --engine lance; "
    "--search exact answers without it"
)


def new_table(database: str) -> str:
    """The address of a table that is not there yet, in a folder or at a URI."""
    return f"{database.rstrip('/')}/images-{np.random.default_rng().bytes(6).hex()}.lance"


def create(address: str) -> None:
    """Make an empty table.

    Raises:
        GalleryError: when LanceDB is not installed, or the place cannot be written.
    """
    schema = pa.schema([("id", pa.int64())], {_FORMAT_KEY: FORMAT.encode()})
    database, name = _parts(address)
    with refusals(address, "written"):
        _connect(database).create_table(name, schema=schema)


def drop(address: str) -> None:
    """Delete a table of ours where that is possible; what cannot be opened stays as it is."""
    database, name = _parts(address)
    with contextlib.suppress(Exception):  # whatever a store raises: nothing reads it any more
        open_table(address)  # a stranger's header may name a table that is none of ours
        _connect(database).drop_table(name)


def _library() -> Any:
    try:
        return importlib.import_module("lancedb")
    except ImportError as error:
        raise GalleryError(
            "this gallery is searched by LanceDB, which is one more package: pip install "
            "lancedb==0.40.0; --search exact answers without it"
        ) from error


def _connect(database: str) -> Any:
    """A database; of those elsewhere only what the owner of this machine has named.

    The header of a gallery that somebody else made may name any.

    Raises:
        GalleryError: when it is elsewhere and not named.
    """
    named = [each.strip().rstrip("/") for each in os.environ.get(SETTING, "").split(",")]
    trusted = ".." not in database and any(
        each and f"{database}/".startswith(f"{each}/") for each in named
    )
    if "://" in database and not trusted:
        raise GalleryError(
            f"the gallery's search table lies at {database[:200]}, which is read and written only "
            f"where the setting {SETTING} names it; --search exact answers without it"
        )
    return _library().connect(database)


def _parts(address: str) -> tuple[str, str]:
    """Database and name of a table."""
    database, _, name = address.rpartition("/")
    return database, name.removesuffix(".lance")


def _is_there(address: str) -> bool:
    """Whether a local table's folder is there; connecting would make its parents. Others are."""
    return "://" in address or Path(address).is_dir()


def open_table(address: str) -> Any:
    """A table in its last version.

    Raises:
        GalleryError: when it is away, or its format is another one.
    """
    database, name = _parts(address)
    if not _is_there(address):
        raise GalleryError(f"the gallery's search table {name} is not at {database}; {_REMEDY}")
    with refusals(address, "read"):
        table = _connect(database).open_table(name)
        found = (table.schema.metadata or {}).get(_FORMAT_KEY, b"none").decode("utf-8", "replace")
    if found != FORMAT:
        raise GalleryError(
            f"the gallery's search table {name} has format {found[:20]}, this version reads "
            f"{FORMAT}; write it anew: index again with --engine lance; --search exact answers "
            "without it"
        )
    return table


@contextlib.contextmanager
def refusals(address: str, done: str) -> Iterator[None]:
    """Turn what the library raises, which is whatever its stores and clients raise."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        why = first_line(error, most=200)
        database, name = _parts(address)
        raise GalleryError(
            f"the gallery's search table {name} at {database} cannot be {done} ({why}); {_REMEDY}"
        ) from error
