"""A table of LanceDB that holds vectors and columns of a gallery's images, written and asked.

One row an image: its id, the values that filters compare (folded as they compare them), and the
vector of every view that was written. Each part of a row lies beside a digest of what it was
written from, so that bringing a table up to date writes only what differs. Changes are versions of
the table: who reads one goes on reading it.
"""

from __future__ import annotations

import functools
import hashlib
import importlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
from jaxtyping import Float, Integer, UInt64

from core.gallery.filters import PATH, Condition, filter_columns, filter_value, folded
from core.search.engine import FEWEST, Among
from core.search.lance_table import open_table, refusals
from core.search.survivors import names_of, places
from core.values import ImageRecord, Progress, no_progress

EXACT = 20_000
"""Rows up to which all are compared; beyond, codes of a bit a number first; see decision 022."""
_PARTITION = 1_000_000  # rows whose codes lie together
_LANES = 8  # numbers that codes are made of at once
_ID, _SHA, _DIGEST = "id", "sha256", "digest_of_"
_COLUMNS = "columns"  # whose digest is that of a row's values
BLOCK = 16_384  # rows written at once
_NAMED = 4_096  # ids named at once
LONGEST_SEARCH = timedelta(
    minutes=1
)  # that a search waits; a silent store is asked for two by itself
KEPT = timedelta(days=1)  # how long versions stay that are no longer the last


@dataclass(frozen=True)
class Asking:
    """How far a table's index is searched; of no account where there is none."""

    beam: int = 4
    """Rows that a graph keeps in sight, for every one that is wanted."""
    probes: int = 20
    """Partitions that are looked into: all, where there are no more."""
    refined: int = 4
    """Rows compared by their vectors themselves, for every one that is wanted."""


@dataclass(frozen=True)
class LanceEngine:
    """Finds the rows of one view in one version of a table."""

    table: Any
    address: str
    column: str
    """The view's vectors."""
    ids: Integer[np.ndarray, " n"]
    """Id of every row of the view."""
    asking: Asking = Asking()

    @classmethod
    def open(
        cls, address: str, column: str, *, ids: Integer[np.ndarray, " n"], version: int
    ) -> LanceEngine:
        """Open a version that :func:`bring_up` told.

        Raises:
            GalleryError: when it is not there, cannot be read, or holds something else.
        """
        table = open_table(address)
        with refusals(address, "read"):
            table.checkout(version)
        return cls(table, address, column, ids)

    def nearest(
        self, queries: Float[np.ndarray, "q d"], *, k: int, among: Among | None
    ) -> Integer[np.ndarray, "q m"]:
        """Rows that the table finds; by comparing all of them where its index finds too few."""
        there = len(self.ids) if among is None else int(among.rows.sum())
        count = min(max(FEWEST, k), there)
        if not count:
            return np.empty((len(queries), 0), np.int64)
        with refusals(self.address, "read"):
            rows = self.found(queries, count, among, exact=False)
            if (rows < 0).any():
                rows = self.found(queries, count, among, exact=True)
        return rows

    def found(
        self, queries: np.ndarray, count: int, among: Among | None, *, exact: bool
    ) -> Integer[np.ndarray, "q m"]:
        """The rows that are found in one search, -1 where fewer; exact or by the table's index."""
        asked = self.table.search(_padded(queries), vector_column_name=self.column)
        asked = asked.distance_type("dot").limit(count).select([_ID, "_distance"])
        how = self.asking
        asked = asked.ef(how.beam * count).nprobes(how.probes).refine_factor(how.refined)
        if among is not None:
            asked = asked.where(_prefilter(among, self.ids), prefilter=True)
        longest = None if exact else LONGEST_SEARCH  # all rows: as long as that takes
        chosen = asked.bypass_vector_index() if exact else asked
        found = chosen.to_arrow(timeout=longest)
        ids = found[_ID].to_numpy()
        query = found["query_index"].to_numpy() if len(queries) > 1 else np.zeros(len(ids), int)
        rows = self._rows(ids)
        if among is not None:
            rows = np.where(among.rows[rows], rows, -1)  # whatever the engine holds for alike
        table = np.full((len(queries), count), -1)
        place = np.arange(len(query)) - np.searchsorted(query, query)
        table[query, place] = rows
        return table

    @functools.cached_property
    def _order(self) -> Integer[np.ndarray, " n"]:
        return np.argsort(self.ids)

    def _rows(self, ids: np.ndarray) -> Integer[np.ndarray, " m"]:
        rows = places(self.ids, ids, order=self._order)
        if (rows < 0).any():
            raise ValueError("it names images that the gallery has not")
        return rows


@dataclass(frozen=True)
class Contents:
    """What a version of a table holds of one view, as it was written."""

    version: int
    column: str
    """The view's vectors."""
    dim: int
    """Numbers of a vector, without those that pad it."""
    texts: tuple[str, ...]
    """What filters compare, as people call it."""
    ids: Integer[np.ndarray, " n"]
    digests: UInt64[np.ndarray, "n 2"]
    """Of every image: of what filters compare, and of its vector."""

    @property
    def schema(self) -> pa.Schema:
        """The columns that hold it, and their types."""
        texts = [(name, pa.string()) for name in (_SHA, *map(_plain, self.texts))]
        digests = [(_DIGEST + name, pa.uint64()) for name in (_COLUMNS, self.column)]
        vectors = pa.list_(pa.float32(), self._width)
        return pa.schema([(_ID, pa.int64()), *texts, (self.column, vectors), *digests])

    @property
    def _width(self) -> int:
        return self.dim + -self.dim % _LANES

    def kept(self, table: Any) -> tuple[Integer[np.ndarray, " m"], UInt64[np.ndarray, "m 2"]]:
        """Ids of all rows of a table, and the digests that lie in them; 0 for none."""
        names = [_DIGEST + name for name in (_COLUMNS, self.column)]
        found = _stored(table, [_ID, *names])
        digests = [found[name].fill_null(0).to_numpy() for name in names]
        return found[_ID].to_numpy(), np.stack(digests, axis=1)

    def within(
        self, table: Any, places: Integer[np.ndarray, " m"]
    ) -> tuple[Integer[np.ndarray, " m"], UInt64[np.ndarray, "m 2"]]:
        """Ids of rows at some places of a table, and the digests of what they hold."""
        columns = [_ID, _SHA, *map(_plain, self.texts), self.column]
        found = table.take_offsets(places.tolist()).select(columns).to_arrow()
        if found[self.column].null_count:
            raise ValueError("some images have no vector")
        vectors = found[self.column].combine_chunks().flatten().to_numpy()
        texts = {name: found[_plain(name)].to_pylist() for name in self.texts}
        own = vectors.reshape(len(found), self._width)[:, : self.dim]
        return found[_ID].to_numpy(), _digests(found[_SHA].to_pylist(), texts, own)


def column_of(name: str, kind: object) -> str:
    """Name of the column of a view's vectors: what it sees, and a digest of how."""
    return f"{_plain(name)}_{_digest(repr(kind))}"


def bring_up(
    address: str,
    records: Sequence[ImageRecord],
    column: str,
    vectors: Float[np.ndarray, "n d"],
    *,
    progress: Progress = no_progress,
) -> Contents:
    """Make a table hold these images alone, with these vectors in a column; what it holds then.

    A call that is stopped leaves the table in a whole version, and the next one goes on.

    Args:
        address: the table.
        records: the images.
        column: where the vectors are kept.
        vectors: unit rows.
        progress: told of rows written; may raise ``Cancelled``.

    Raises:
        GalleryError: when the table is away, of another version, or cannot be written.
    """
    table = open_table(address)
    contents = [record.sha256 for record in records]
    ids = np.array([record.id for record in records], np.int64)
    texts = _texts(records)
    values = {_SHA: pa.array(contents), **{_plain(k): pa.array(v) for k, v in texts.items()}}
    padded = _padded(vectors)
    rows = pa.FixedSizeListArray.from_arrays(pa.array(padded.ravel()), padded.shape[1])
    digests = _digests(contents, texts, vectors)
    parts = [(_COLUMNS, values, digests[:, 0]), (column, {column: rows}, digests[:, 1])]
    with refusals(address, "written"):
        changed = _keep_only(table, ids)
        for name, arrays, own in parts:
            changed += _write(table, name, ids, arrays, own, progress=progress)
        if changed:
            _index(table, column, len(ids))
            table.optimize(cleanup_older_than=KEPT)
        if any((_known(table, name, ids) != own).any() for name, _, own in parts):
            raise ValueError("another program changed it meanwhile; try again")
        version = int(table.version)
    return Contents(version, column, vectors.shape[1], tuple(texts), ids, digests)


def _digests(
    contents: Sequence[str], texts: Mapping[str, Sequence[str]], vectors: Float[np.ndarray, "n d"]
) -> UInt64[np.ndarray, "n 2"]:
    """Digests of what images are written from: what filters compare of each, and its vector."""
    lines = ["\0".join((*texts, *line)) for line in zip(contents, *texts.values(), strict=True)]
    parts = (lines, np.empty((len(lines), 0))), (contents, np.asarray(vectors, np.float32))
    return np.stack([names_of(*part)[:, 0] for part in parts], axis=1)


def _keep_only(table: Any, ids: np.ndarray) -> int:
    """Delete all other images; how many there were."""
    gone = np.setdiff1d(_stored(table, [_ID])[_ID].to_numpy(), ids)
    for start in range(0, len(gone), _NAMED):
        table.delete(f"{_ID} IN ({', '.join(map(str, gone[start : start + _NAMED].tolist()))})")
    return len(gone)


def _write(
    table: Any,
    name: str,
    ids: np.ndarray,
    arrays: dict[str, pa.Array],
    digests: UInt64[np.ndarray, " n"],
    *,
    progress: Progress,
) -> int:
    """Write one part of the rows that lack it or have another; how many these are."""
    there = set(table.schema.names)
    own = {_ID: pa.array(ids), **arrays, _DIGEST + name: pa.array(digests)}
    missing = [pa.field(key, array.type) for key, array in own.items() if key not in there]
    if missing:
        table.add_columns(missing)
    changed = np.flatnonzero(_known(table, name, ids) != digests)
    whole = pa.table(own)
    for start in range(0, len(changed), BLOCK):
        progress(start, len(changed), "writing to the search engine")
        some = whole.take(pa.array(changed[start : start + BLOCK]))
        merge = table.merge_insert(_ID).when_matched_update_all().when_not_matched_insert_all()
        merge.execute(some)
    return len(changed)


def _index(table: Any, column: str, n: int) -> None:
    """Code the rows of a large column anew where most of them are not; else `optimize` does it."""
    if n <= EXACT:
        return
    name = f"{column}_idx"
    stats = table.index_stats(name) if name in {i.name for i in table.list_indices()} else None
    if stats is not None and stats.num_unindexed_rows < n / 2:
        return
    codes = importlib.import_module("lancedb.index").IvfRq
    config = codes(distance_type="dot", num_partitions=-(-n // _PARTITION))
    table.create_index(column, config=config, name=name, replace=True)


def _padded(vectors: np.ndarray) -> Float[np.ndarray, "n d"]:
    """Rows with zeros behind them, to a width that codes can be made of."""
    missing = -vectors.shape[1] % _LANES
    return np.ascontiguousarray(np.pad(vectors, ((0, 0), (0, missing))), np.float32)


def _known(table: Any, name: str, ids: np.ndarray) -> UInt64[np.ndarray, " n"]:
    """Digests that a part of the rows of ids has; 0 where there is none."""
    found = _stored(table, [_ID, _DIGEST + name])
    have, digests = found[_ID].to_numpy(), found[_DIGEST + name].fill_null(0).to_numpy()
    if len(np.unique(have)) < len(have):
        raise ValueError("it holds an image twice, as two writers at once may leave it")
    if not len(have):
        return np.zeros(len(ids), np.uint64)
    place = places(have, ids)
    return np.where(place >= 0, digests[place], 0).astype(np.uint64)


def _stored(table: Any, columns: list[str]) -> pa.Table:
    return table.search().select(columns).limit(max(table.count_rows(), 1)).to_arrow()


def _texts(records: Sequence[ImageRecord]) -> dict[str, list[str]]:
    """What filters compare, by column."""
    names = filter_columns(records) if records else (PATH,)
    return {name: [_text(filter_value(r, name)) for r in records] for name in names}


def _prefilter(among: Among, ids: np.ndarray) -> Any:
    """What the images say that may be found, as an expression; no text of a user is ever parsed."""
    expressions = importlib.import_module("lancedb.expr")
    if among.where is None:
        return expressions.col(_ID).isin(ids[among.rows].tolist())
    whole, *rest = [_expression(expressions, each) for each in among.where.conditions]
    for more in rest:
        whole = whole & more
    return whole


def _expression(expressions: Any, condition: Condition) -> Any:
    column = expressions.col(_plain(condition.column))
    value = expressions.lit(_text(condition.value))
    return {
        "=": lambda: column == value,
        "!=": lambda: column != value,
        "contains": lambda: column.contains(value),
        "is filled": lambda: column != expressions.lit(""),
        "is not filled": lambda: column == expressions.lit(""),
    }[condition.operator]()


def _text(value: str) -> str:
    """A text as filters compare it, in characters that can be stored."""
    return folded(value).encode("utf-8", "backslashreplace").decode()


def _plain(name: str) -> str:
    """The name of a column, of letters and digits alone; two names never give the same one."""
    if re.fullmatch(r"[a-z]{1,40}", name) and name not in (_ID, _SHA, _COLUMNS):
        return name
    return f"{re.sub('[^a-z0-9]+', '_', name.lower())[:40].strip('_')}_{_digest(name)}"


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()[:8]
