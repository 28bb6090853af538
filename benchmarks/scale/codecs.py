"""Codes that vectors can be kept as, and the cosines with queries that each code gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import faiss
import numpy as np

from core.heads.rotation import haar_rotation

_faiss: Any = faiss  # what its annotations lack
_KINDS = {8: faiss.ScalarQuantizer.QT_8bit, 4: faiss.ScalarQuantizer.QT_4bit}
_QUERY_BITS = 8  # of a number of a query that RaBitQ compares with its bits
_SEED = 1
_HALVINGS = 60  # of the interval in which a level is looked for
_ROUNDS = 15  # in which OPQ fits its rotation; 50 are the library's own


@dataclass(frozen=True)
class Codes:
    """The rows of a gallery as a code keeps them."""

    name: str
    bytes: int
    """Of an image, without its CSLS mean, which all forms keep beside it."""
    cosines: Callable[[np.ndarray], np.ndarray]
    """Cosines of unit queries (q, d) with all rows as they are kept, (q, n)."""


def decoded(name: str, size: int, rows: np.ndarray) -> Codes:
    """A code by the rows that it gives back.

    Args:
        name: what it is called.
        size: bytes of an image.
        rows: what the code holds of every row; (n, d), float32.
    """
    return Codes(name, size, lambda queries: queries @ rows.T)


@dataclass(frozen=True)
class Quantiser:
    """Product quantisation: a rotation into parts, and the codewords of each."""

    rotation: np.ndarray
    """(d, m s), orthonormal rows."""
    words: np.ndarray
    """(m, 256, s)."""

    def encode(self, rows: np.ndarray) -> np.ndarray:
        """Nearest codeword of every part of rows (n, d); (n, m), a byte each."""
        turned, (parts, _, width) = rows @ self.rotation, self.words.shape
        found = np.empty((len(rows), parts), np.uint8)
        for part in range(parts):
            own = turned[:, part * width : (part + 1) * width]
            halves = (self.words[part] ** 2).sum(axis=1) / 2
            found[:, part] = (own @ self.words[part].T - halves).argmax(axis=1)
        return found

    def decode(self, codes: np.ndarray) -> np.ndarray:
        """Rows (n, d) of codes (n, m)."""
        parts = np.arange(self.words.shape[0])
        return self.words[parts, codes].reshape(len(codes), -1) @ self.rotation.T

    def codes(self, name: str, rows: np.ndarray) -> Codes:
        """The codes of rows, a byte for each part."""
        return decoded(name, self.words.shape[0], self.decode(self.encode(rows)))


def exact(vectors: np.ndarray) -> Codes:
    """The rows themselves."""
    return decoded("float32", 4 * vectors.shape[1], vectors)


def half(vectors: np.ndarray) -> Codes:
    """Rounded to float16."""
    return decoded("float16", 2 * vectors.shape[1], vectors.astype(np.float16).astype(np.float32))


def scalar(vectors: np.ndarray, *, bits: int) -> Codes:
    """Numbers of 8 or 4 bits between the least and the largest of their column."""
    index = faiss.IndexScalarQuantizer(vectors.shape[1], _KINDS[bits], faiss.METRIC_INNER_PRODUCT)
    return _trained("int8" if bits == 8 else f"{bits} bits", index, vectors)


def product(vectors: np.ndarray, *, size: int) -> Codes:
    """Product quantisation into parts of one byte each (Jégou et al., PAMI 2011)."""
    dim = vectors.shape[1]
    spread = _faiss.RemapDimensionsTransform(dim, padded(dim, size), True)  # zeros between
    codes = faiss.IndexPQ(spread.d_out, size, 8, faiss.METRIC_INNER_PRODUCT)
    return _trained("PQ", faiss.IndexPreTransform(spread, codes), vectors)


def optimised(vectors: np.ndarray, *, size: int) -> Quantiser:
    """Product quantisation after a fitted rotation (Ge et al., CVPR 2013), as FAISS fits them."""
    dim = vectors.shape[1]
    rotation = faiss.OPQMatrix(dim, size, padded(dim, size))
    rotation.niter = _ROUNDS
    codes = faiss.IndexPQ(rotation.d_out, size, 8, faiss.METRIC_INNER_PRODUCT)
    faiss.IndexPreTransform(rotation, codes).train(np.ascontiguousarray(vectors, np.float32))
    turn = faiss.vector_to_array(rotation.A).reshape(rotation.d_out, dim).T
    words = faiss.vector_to_array(codes.pq.centroids).reshape(size, codes.pq.ksub, codes.pq.dsub)
    return Quantiser(np.ascontiguousarray(turn), words)


def rabitq(vectors: np.ndarray, *, dim: int, bits: int) -> Codes:
    """RaBitQ (Gao and Long, SIGMOD 2024) of the leading directions, rotated at random.

    Args:
        vectors: unit rows.
        dim: directions of largest second moment that are kept, as many as numbers at most.
        bits: of a direction, beside the factors of the estimate.
    """
    rows = np.asarray(vectors, np.float32)
    leading = np.linalg.eigh(rows.T @ rows)[1][:, -dim:]
    basis = (leading @ haar_rotation(dim, seed=_SEED)).astype(np.float32)
    index: Any = _faiss.IndexRaBitQ(dim, faiss.METRIC_INNER_PRODUCT, bits)
    index.qb = _QUERY_BITS
    index.train(rows @ basis)
    index.add(rows @ basis)

    def cosines(queries: np.ndarray) -> np.ndarray:
        found = np.empty((len(queries), len(rows)), np.float32)
        products, order = index.search(queries.astype(np.float32) @ basis, len(rows))
        np.put_along_axis(found, order, products, axis=1)
        return found

    return Codes(f"RaBitQ, {dim} numbers of {bits}", index.code_size, cosines)


def limit(vectors: np.ndarray, *, size: int) -> Codes:
    """What the best of all codes of a size would give back, were the rows Gaussian.

    Shannon's rate-distortion function of their variances: bits go where these exceed one level, and
    what is given back is drawn as far from the rows as that many bits make unavoidable (Cover and
    Thomas 2006, sections 10.3 and 10.8). No code that can be decoded is behind it.
    """
    mean = vectors.mean(axis=0)
    variances, directions = np.linalg.eigh(np.cov(vectors.T))
    low, high = 0.0, float(variances.max())
    for _ in range(_HALVINGS):
        level = (low + high) / 2
        bits = np.log2(np.maximum(variances / level, 1)).sum() / 2
        low, high = (level, high) if bits > 8 * size else (low, level)
    coded = variances > high
    kept, lost = variances[coded], high
    rows = (vectors - mean) @ directions[:, coded]
    noise = np.random.default_rng(_SEED).standard_normal(rows.shape)
    rows = (1 - lost / kept) * (rows + noise * np.sqrt(lost * kept / (kept - lost)))
    given = (mean + rows @ directions[:, coded].T).astype(np.float32)
    return decoded("the best of a Gaussian source", size, given)


def padded(dim: int, parts: int) -> int:
    """The next whole multiple of parts."""
    return -(-dim // parts) * parts


def _trained(name: str, index: Any, vectors: np.ndarray) -> Codes:
    rows = np.ascontiguousarray(vectors, np.float32)
    index.train(rows)
    return decoded(name, index.sa_code_size(), index.sa_decode(index.sa_encode(rows)))
