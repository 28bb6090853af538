"""Near-duplicate groups: which images of a gallery count as copies of one.

Two images are linked when their perceptual hashes are close *and* their embeddings are: a hash
alone takes all flat images for one, an embedding alone takes two views of one scene for copies.
The hash of the mirrored image follows from the image's own, so mirrored copies are found too; links
of other origin, such as crops, are added. Groups are the connected components of the links.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from jaxtyping import Float, Integer, UInt64
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.config import GroupConfig
from core.heads.rows import unit_rows
from core.values import Progress, no_progress

_BLOCK = 1024  # rows, or pairs, compared at once
_KINDS = 64  # kinds of image among many of one hash whose copies are looked for
_COMPARED = "comparing near-duplicates"
_MIRROR = np.uint64(0x5555555555555555)  # mirroring turns the sign of every second frequency


def near_duplicate_groups(
    embeddings: Float[np.ndarray, "n d"],
    hashes: Sequence[str],
    *,
    neighbours: Integer[np.ndarray, "n k"],
    limits: GroupConfig,
    links: Integer[np.ndarray, "m 2"] | None = None,
    progress: Progress = no_progress,
) -> Integer[np.ndarray, " n"]:
    """Group of every row, named by the smallest row in it.

    Looked at are the pairs of a row and one of its nearest neighbours, as they are and mirrored,
    and all pairs of equal hash.

    Args:
        embeddings: one row per image, of any length; (n, d).
        hashes: 64-bit perceptual hash of every image, 16 hexadecimal digits.
        neighbours: rows of the nearest other images of every row, -1 for none; (n, k).
        limits: how near the hashes and the embeddings of two copies are.
        links: further pairs of rows that are copies.
        progress: told of pairs, then of hashes compared; may raise ``Cancelled``.

    Raises:
        ValueError: if there is not one hash per row, or a hash is not 16 hexadecimal digits.
    """
    bits = parsed_hashes(hashes, n=len(embeddings))
    near = _neighbour_links(embeddings, bits, neighbours, limits, progress=progress)
    given = np.empty((0, 2), np.int64) if links is None else links
    equal = _equal_hash_links(embeddings, bits, limits.min_cosine, progress=progress)
    return _components(np.concatenate([near, given, *equal]), len(bits))


def _neighbour_links(
    embeddings: np.ndarray,
    bits: UInt64[np.ndarray, " n"],
    neighbours: np.ndarray,
    limits: GroupConfig,
    *,
    progress: Progress,
) -> Integer[np.ndarray, "m 2"]:
    """Pairs of the neighbour table that are close both by hash and by embedding."""
    rows, columns = np.nonzero(neighbours >= 0)
    pairs = np.stack([rows, neighbours[rows, columns]], axis=1)
    differing = bits[pairs[:, 0]] ^ bits[pairs[:, 1]]
    plain = np.bitwise_count(differing) <= limits.max_hash_distance
    most = limits.max_hash_distance + limits.mirror_slack
    mirrored = np.bitwise_count(differing ^ _MIRROR) <= most
    pairs = pairs[plain | mirrored]
    cosines = [np.empty(0)]
    for start in range(0, len(pairs), _BLOCK):
        progress(start, len(pairs), _COMPARED)
        block = pairs[start : start + _BLOCK]
        both = (unit_rows(embeddings[rows]) for rows in block.T)
        cosines.append(np.einsum("md,md->m", *both))
    return pairs[np.concatenate(cosines) >= limits.min_cosine]


def _equal_hash_links(
    embeddings: np.ndarray,
    bits: UInt64[np.ndarray, " n"],
    min_cosine: float,
    *,
    progress: Progress,
) -> Iterator[Integer[np.ndarray, "m 2"]]:
    """Links among images of equal hash, of many with the first of each kind alone."""
    order = np.argsort(bits, kind="stable")
    begins = np.append(0, np.flatnonzero(np.diff(bits[order])) + 1)
    ends = np.append(begins[1:], len(order))
    several = np.stack([begins, ends], axis=1)[ends - begins > 1]
    for done, (begin, end) in enumerate(several):
        if done % _BLOCK == 0:
            progress(done, len(several), _COMPARED)
        same = order[begin:end]
        unit = unit_rows(embeddings[same])
        if len(same) > _BLOCK:
            yield from _links_to_firsts(unit, same, min_cosine)
        else:
            yield same[np.argwhere(unit @ unit.T >= min_cosine)]


def _links_to_firsts(
    unit: np.ndarray, same: Integer[np.ndarray, " m"], min_cosine: float
) -> Iterator[Integer[np.ndarray, "l 2"]]:
    """Links of rows with the first that is near them, of at most so many kinds of image.

    What is no copy of these, where flat images fill a gallery, is linked by its neighbours or not
    at all, so that the work grows as the rows do.
    """
    left = np.arange(len(same))
    for _ in range(_KINDS):
        near = unit[left] @ unit[left[0]] >= min_cosine
        near[0] = True  # a row of zeros too
        yield np.stack(np.broadcast_arrays(same[left[0]], same[left[near]]), axis=1)
        left = left[~near]
        if not len(left):
            return


def _components(pairs: Integer[np.ndarray, "m 2"], n: int) -> Integer[np.ndarray, " n"]:
    """Connected components of n nodes, each named by its smallest node."""
    links = coo_array((np.ones(len(pairs), bool), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    labels = connected_components(links, directed=False)[1]
    return np.unique(labels, return_index=True)[1][labels]


def parsed_hashes(hashes: Sequence[str], *, n: int) -> UInt64[np.ndarray, " n"]:
    """Hashes as numbers.

    Raises:
        ValueError: if there are not n hashes, or one is not 16 hexadecimal digits.
    """
    if len(hashes) != n:
        raise ValueError(f"{n} embeddings need as many hashes, got {len(hashes)}")
    for value in hashes:
        if len(value) != 16 or not set(value) <= set("0123456789abcdefABCDEF"):
            raise ValueError(f"a perceptual hash has 16 hexadecimal digits, got {value!r}")
    return np.array([int(value, 16) for value in hashes], dtype=np.uint64)
