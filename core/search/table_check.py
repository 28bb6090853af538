"""Is the table of LanceDB that a gallery is searched by what was written to it?"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Integer

from core.gallery.gallery import Gallery
from core.gallery.verify import Damage
from core.search.lance import EXACT, Contents, LanceEngine
from core.search.lance_table import TableError, open_table, refusals, versions_of
from core.search.served import written
from core.search.survivors import places
from core.values import GalleryError, Progress, no_progress

LOOKED_AT = 4_096
"""Rows of a table above :data:`EXACT` that are looked at, drawn by a fixed seed."""


def changed_table(folder: Path, *, progress: Progress = no_progress) -> list[Damage]:
    """What is wrong with the table that a gallery's header names; nothing where it names none.

    The table is compared with what the gallery keeps of its writing: in this state, or in the one
    before where nothing was asked since. Where neither is kept, it is only opened: what is asked
    next writes it.

    Args:
        folder: a gallery whose files are whole.
        progress: told of views looked at; may raise ``Cancelled``.

    Raises:
        GalleryError: when there is no gallery, or a damaged one.
    """
    gallery = Gallery.open(folder)
    address = gallery.store.table(gallery.header)
    if not address:
        return []
    name, again = gallery.header.lance, _written_anew(gallery)
    try:
        table = open_table(address)
        with refusals(address, "read"):
            found = list(dict.fromkeys(_faults(table, address, gallery, progress)))
    except TableError as error:
        return [
            Damage(name, error.what, f"{error.first}, or {again}" if error.anew else error.first)
        ]
    except GalleryError as error:
        return [Damage(name, "not looked at", str(error))]
    return [Damage(name, what, again) for what in found]


def _written_anew(gallery: Gallery) -> str:
    """The command that writes the table anew where it lies."""
    database = gallery.header.lance.rpartition("/")[0]
    where = "" if database == "lance" else f" --uri {shlex.quote(database)}"
    return f"`index --engine lance{where}` with the same folder writes it anew"


def _faults(table: Any, address: str, gallery: Gallery, progress: Progress) -> Iterator[str]:
    now, before = (written(gallery, now=state) for state in (True, False))
    last, there = int(table.version), versions_of(table)
    newest = max((each.version for each in (*now, *before)), default=0)
    if newest > last:
        yield f"older than the gallery: version {last}, where {newest} was written"
        return
    earlier = [each for each in before if each.version in there]
    looked_at = now or sorted(earlier, key=lambda each: each.version)[-1:]
    for done, contents in enumerate(looked_at, 1):
        # where another program took that version, the last one may hold the same
        table.checkout(contents.version if contents.version in there else last)
        yield from _differences(table, address, contents)
        progress(done, len(looked_at), "comparing the search table")


def _differences(table: Any, address: str, contents: Contents) -> Iterator[str]:
    """How a version of a table differs from what was written."""
    have = {field.name: field.type for field in table.schema}
    wrong = [field.name for field in contents.schema if have.get(field.name) != field.type]
    if wrong:
        yield f"of another schema: {', '.join(wrong)}"
        return
    ids, kept = contents.kept(table)
    n, place = len(contents.ids), places(contents.ids, ids)
    here, strange = place[place >= 0], int((place < 0).sum())
    missing, twice = n - len(np.unique(here)), len(here) - len(np.unique(here))
    if missing:
        yield f"images that are not in it: {missing:,} of {n:,}"
    if twice:
        yield f"images that are in it twice: {twice:,} of {n:,}"
    if strange:
        yield f"rows of no image of the gallery: {strange:,}"
    some, within = contents.within(table, _looked_at(len(ids)))
    known = [(contents.ids[here], kept[place >= 0]), (some, within)]
    for column, what in enumerate(("described otherwise", "with other vectors")):
        changed = set().union(*(_changed(contents, *each, column) for each in known))
        if changed:
            yield f"images {what}: {len(changed):,} of {n:,}"
    if len(ids) > EXACT and not strange:
        engine = LanceEngine(table, address, contents.column, contents.ids)
        engine.found(np.eye(1, contents.dim, dtype=np.float32), 1, None, exact=False)


def _looked_at(n: int) -> Integer[np.ndarray, " m"]:
    """Places of the rows that are looked at: all, or some."""
    some = n if n <= EXACT else LOOKED_AT
    return np.sort(np.random.default_rng(0).choice(n, some, replace=False))


def _changed(contents: Contents, ids: np.ndarray, digests: np.ndarray, column: int) -> set[int]:
    """Ids of the rows whose digests are not those that were written."""
    place = places(contents.ids, ids)
    wanted = contents.digests[np.maximum(place, 0), column]
    return set(ids[(place >= 0) & (digests[:, column] != wanted)].tolist())
