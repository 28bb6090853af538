"""Where a table of LanceDB lies: made, opened and deleted, and what its library raises."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import re
from collections.abc import Awaitable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from core.values import GalleryError, first_line

FORMAT = "1"
"""Version of what the table holds; raised with every change that older code would misread."""

SETTING = "WELLSPRING_LANCE"
"""Environment variable: beginnings of the URIs at which tables may lie, with commas between."""

_FORMAT_KEY, _OWNER_KEY = b"wellspring", b"wellspring owner"
ANSWER = 20.0  # seconds in which an object store has to answer at first
_PATIENCE = {"client_retry_timeout": "30"}
# Seconds after which a request is not tried again, which takes 30 by itself at most; the variable
# OBJECT_STORE_CLIENT_RETRY_TIMEOUT says otherwise. Alone the library goes on for minutes.
_OF_STORES = (
    (
        "NoSuchBucket",
        "there is no such bucket",
        "make the bucket, or name another by --uri",
    ),
    (
        "necessary privileges|status: 40[13]|40[13] [A-Z]|credentials",
        "the object store refuses it",
        "see that the keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY may list, read, write "
        "and delete there",
    ),
    (
        "BadScheme|scheme is not allowed",
        "AWS_ENDPOINT is an address without encryption",
        "set AWS_ALLOW_HTTP=true where that is meant",
    ),
    (
        "[Tt]imed? ?out|error sending request|Connect",
        "the object store does not answer",
        "see that it runs, and that AWS_ENDPOINT names it",
    ),
)
# What the library says of an object store, what that means, and what to do.


class TableError(GalleryError):
    """A table that is away, damaged, another's, or cannot be written."""

    def __init__(
        self, what: str, *, first: str = "see that it is there and can be read", anew: bool = True
    ) -> None:
        """Take what is wrong, what to do first, and whether it helps to write the table anew."""
        again = ", or write it anew: index again with --engine lance" if anew else ""
        super().__init__(
            f"the gallery's search table {what}; {first}{again}; --search exact answers without it"
        )
        self.what, self.first, self.anew = what, first, anew


def new_table(database: str) -> str:
    """The address of a table that is not there yet, in a folder or at a URI."""
    return f"{database.rstrip('/')}/images-{np.random.default_rng().bytes(6).hex()}.lance"


def create(address: str, *, owner: str) -> None:
    """Make an empty table.

    Args:
        address: where.
        owner: whose it is; only they delete it, see :func:`drop`.

    Raises:
        GalleryError: when LanceDB is not installed, or the place cannot be written.
    """
    about = {_FORMAT_KEY: FORMAT.encode(), _OWNER_KEY: owner.encode()}
    schema = pa.schema([("id", pa.int64())], about)
    database, name = _parts(address)
    with refusals(address, "written"):
        _connect(database).create_table(name, schema=schema)


def drop(address: str, *, owner: str) -> None:
    """Delete a table of an owner's where that is possible; all others stay as they are.

    A header may name a table of somebody else: that of a copied gallery names the original's.
    """
    database, name = _parts(address)
    with contextlib.suppress(Exception):  # whatever a store raises: nothing reads it any more
        about = open_table(address).schema.metadata
        if about.get(_OWNER_KEY) == owner.encode():
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
        GalleryError: when it is elsewhere and not named, or LanceDB is not installed.
        TimeoutError: when it does not answer.
        Exception: whatever the library raises of it.
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
    library = _library()
    if "://" not in database:
        return library.connect(database)
    # the library asks a store that is silent for ten minutes, and offers no shorter way
    opening = library.connect_async(database, storage_options=_PATIENCE)
    with ThreadPoolExecutor(1) as pool:  # a notebook's thread has a loop of its own
        pool.submit(asyncio.run, _within(opening, ANSWER)).result()
    return library.connect(database, storage_options=_PATIENCE)


async def _within(waiting: Awaitable[object], seconds: float) -> None:
    try:
        await asyncio.wait_for(waiting, seconds)
    except TimeoutError as error:
        raise TimeoutError("it does not answer: timed out") from error


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
        TableError: when it is away, or its format is another one.
        GalleryError: when LanceDB is not installed, or the place is elsewhere and not named.
    """
    database, name = _parts(address)
    if not _is_there(address):
        raise TableError(f"{name} is not at {database}")
    with refusals(address, "read"):
        table = _connect(database).open_table(name)
        found = (table.schema.metadata or {}).get(_FORMAT_KEY, b"none").decode("utf-8", "replace")
    if found != FORMAT:
        raise TableError(
            f"{name} has format {found[:20]}, this version reads {FORMAT}",
            first="see that it is the gallery's",
        )
    return table


def versions_of(table: Any) -> set[int]:
    """Numbers of the versions of a table that are there."""
    return {int(each["version"]) for each in table.list_versions()}


@contextlib.contextmanager
def refusals(address: str, done: str) -> Iterator[None]:
    """Turn what the library raises, which is whatever its stores and clients raise."""
    try:
        yield
    except (OSError, RuntimeError, ValueError, KeyError, TypeError, pa.ArrowException) as error:
        database, name = _parts(address)
        what = f"{name} at {database} cannot be {done}"
        if "://" in database:
            for said, why, first in _OF_STORES:
                if re.search(said, str(error)):
                    raise TableError(f"{what} ({why})", first=first, anew=False) from error
        raise TableError(f"{what} ({first_line(error, most=200)})") from error
