"""Columns of Parquet files that somebody else wrote: what they unpack to is counted first."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

_CELL = 16  # bytes that a value takes at least, however it is packed


def read_columns(path: Path, names: Collection[str], *, most: int) -> pa.Table:
    """Some columns of a file, once they are :func:`counted`; the same arguments and errors."""
    found = counted(path, names, most=most)
    return found.cast(pa.schema([each.with_type(_plain(each.type)) for each in found.schema]))


def counted(path: Path, names: Collection[str], *, most: int) -> pa.Table:
    """Some columns of a file, their texts packed as they lie there.

    A text that repeats lies in a file once, and is unpacked as often as it repeats: a file of
    200 kB filled the memory. So what texts would unpack to is counted before they are.

    Args:
        path: the file.
        names: of columns, or of fields of structs as ``image.path``.
        most: bytes that they may unpack to.

    Raises:
        ValueError: when they unpack to more.
        OSError: when the file cannot be read.
        pyarrow.ArrowException: when it is no such file.
    """
    with pq.ParquetFile(path) as file:
        leaves = [each for each in _leaves(file.metadata) if _is_of(each.path_in_schema, names)]
    texts = {each.path_in_schema for each in leaves if each.physical_type == "BYTE_ARRAY"}
    if sum(max(each.num_values * _CELL, each.total_uncompressed_size) for each in leaves) > most:
        raise _too_large(most)
    with pq.ParquetFile(path, read_dictionary=sorted(texts)) as file:
        found = file.read(columns=[*names])
    if sum(_size(chunk) for column in found.columns for chunk in column.chunks) > most:
        raise _too_large(most)
    return found


def _leaves(about: pq.FileMetaData) -> Iterator[pq.ColumnChunkMetaData]:
    for i in range(about.num_row_groups):
        group = about.row_group(i)
        yield from (group.column(j) for j in range(group.num_columns))


def _is_of(leaf: str, names: Collection[str]) -> bool:
    return any(f"{leaf}.".startswith(f"{name}.") for name in names)


def _size(array: pa.Array) -> int:
    """Bytes of an array once it is unpacked."""
    if isinstance(array, pa.DictionaryArray):
        lengths = pc.call_function("binary_length", [array.dictionary])
        return pc.call_function("sum", [lengths.take(array.indices)]).as_py() or 0
    if isinstance(array, pa.StructArray):
        return sum(map(_size, array.flatten()))
    if isinstance(array, pa.ListArray | pa.LargeListArray | pa.FixedSizeListArray):
        return _size(array.flatten())
    return array.nbytes


def _plain(kind: pa.DataType) -> pa.DataType:
    """A kind of values without the dictionaries that repeated texts were read by."""
    if pa.types.is_dictionary(kind):
        return kind.value_type
    if pa.types.is_struct(kind):
        return pa.struct([each.with_type(_plain(each.type)) for each in kind])
    if pa.types.is_list(kind):
        return pa.list_(kind.value_field.with_type(_plain(kind.value_type)))
    return kind


def _too_large(most: int) -> ValueError:
    return ValueError(f"it unpacks to over {most:,} bytes")
