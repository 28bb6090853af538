"""SIFT bag of words as a baseline: local key points, a vocabulary of the gallery, tf-idf, cosine.

OpenCV is a tool of development only; without it the baseline is left out.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from jaxtyping import Float
from PIL import Image

from benchmarks.quality.study import Study, digest, ranked
from core.config import BuildConfig
from core.heads.rows import unit_rows
from core.images.decode import load_image
from core.values import Encoded

WORDS = 1_024
_SAMPLE = 1_000  # gallery images whose descriptors make the vocabulary
_POINTS = 300  # key points an image at most
_SIDE = 256  # longer side at which images are read


class Sift:
    """Counts of visual words behind the encoder protocol."""

    name = "sift"
    dim = WORDS

    def __init__(self, words: Float[np.ndarray, "w 128"], *, identity: str) -> None:
        self.identity = identity
        self._index = faiss.IndexFlatL2(words.shape[1])
        self._index.add(words)

    def encode(self, images: Sequence[Image.Image]) -> Encoded:
        """Counts of every word in RGB images of any size."""
        detector, counts = sift_detector(), np.zeros((len(images), WORDS), np.float32)
        for row, image in enumerate(images):
            found = descriptors(detector, image)
            if len(found):
                nearest = self._index.search(found, 1)[1][:, 0]
                counts[row] = np.bincount(nearest, minlength=WORDS)
        return Encoded(counts)


def available() -> bool:
    """Whether OpenCV is installed."""
    return importlib.util.find_spec("cv2") is not None


def column(study: Study) -> Float[np.ndarray, "q 4"]:
    """Measures of every pair."""
    gallery, asked = vectors(study, [study.bench.folder / pair.generated for pair in study.pairs])
    return ranked(gallery, asked, study.right, scaling=None, without=study.left_out)


def vectors(
    study: Study, asked: Sequence[Path]
) -> tuple[Float[np.ndarray, "n w"], Float[np.ndarray, "q w"]]:
    """Rows of the gallery and of images that are asked; words and idf are the gallery's alone."""
    paths = study.gallery_paths
    count = len(study.bench.others)
    chosen = np.random.default_rng(0).permutation(count)[:_SAMPLE]
    blank = Sift(np.empty((0, 128), np.float32), identity=f"{study.bench.gallery.identity}-{WORDS}")
    words = study.kept(blank, "words", lambda: vocabulary([paths[i] for i in chosen]))
    encoder = Sift(words, identity=blank.identity)
    counts, found = (
        study.encoded(encoder, f"{name}-{digest(*map(str, files))}", files)
        for name, files in (("gallery", paths), ("queries", asked))
    )
    idf = np.log((1 + count) / (1 + (counts[:count] > 0).sum(0)))
    return weighted(counts, idf), weighted(found, idf)


def weighted(
    counts: Float[np.ndarray, "n w"], idf: Float[np.ndarray, " w"]
) -> Float[np.ndarray, "n w"]:
    """tf-idf at unit length (Sivic & Zisserman 2003); an image without key points stays zero."""
    return unit_rows((counts * idf).astype(np.float32))


def vocabulary(paths: Sequence[Any]) -> Float[np.ndarray, "w 128"]:
    """k-means centres of the images' descriptors."""
    detector = sift_detector()
    images = (load_image(path, fit=BuildConfig().thumbnail).image for path in paths)
    rows = np.concatenate([descriptors(detector, image) for image in images])
    means = faiss.Kmeans(rows.shape[1], WORDS, niter=15, seed=0)
    means.train(rows)
    assert means.centroids is not None
    return means.centroids


def descriptors(detector: Any, image: Image.Image) -> Float[np.ndarray, "p 128"]:
    """RootSIFT of the strongest key points (Arandjelović & Zisserman 2012)."""
    grey = image.convert("L")
    grey.thumbnail((_SIDE, _SIDE))
    found = detector.detectAndCompute(np.asarray(grey), None)[1]
    if found is None:
        return np.empty((0, 128), np.float32)
    return np.sqrt(found / np.maximum(found.sum(1, keepdims=True), 1e-6)).astype(np.float32)


def sift_detector() -> Any:
    """OpenCV's detector of key points; OpenCV is a package that only this needs."""
    return importlib.import_module("cv2").SIFT_create(nfeatures=_POINTS)
