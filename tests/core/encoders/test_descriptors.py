"""Local descriptors as small integers."""

from __future__ import annotations

import numpy as np
import pytest

from core.encoders.descriptors import PATCH_HEAD, describe_patches, quantize
from core.heads.fit import fit_head


def test_quantized_descriptors_keep_the_cosine():
    patches = np.random.default_rng(11).standard_normal((2, 30, 64)) * 1e3
    unit = patches / np.linalg.norm(patches, axis=-1, keepdims=True)
    small = quantize(patches) / 127
    assert np.abs(small[0] @ small[1].T - unit[0] @ unit[1].T).max() < 0.02
    assert (quantize(np.zeros((1, 2, 3))) == 0).all()


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_patches_that_are_not_finite_are_refused(bad):
    with pytest.raises(ValueError, match="must be finite"):
        quantize(np.full((1, 1, 2), bad))


def test_descriptors_are_unit_vectors_in_int8() -> None:
    patches = np.random.default_rng(0).normal(size=(3, 16, 6)).astype(np.float32)
    head = fit_head(patches.reshape(-1, 6), config=PATCH_HEAD)
    found = describe_patches(patches, head)
    assert (found.shape, found.dtype) == ((3, 16, 6), np.int8)
    norms = np.linalg.norm(found.astype(float) / 127, axis=-1)
    np.testing.assert_allclose(norms, 1, atol=0.02)
    one = head(patches[1], role="gallery")
    np.testing.assert_array_equal(found[1:2], quantize(one[None]))
