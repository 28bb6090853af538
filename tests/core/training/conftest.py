"""A little world to train on."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(scope="session")
def images():
    """Sixteen uint8 images of 32 pixels, each with its own low-frequency pattern."""
    random = torch.Generator().manual_seed(0)
    coarse = torch.rand(16, 3, 5, 5, generator=random)
    smooth = torch.nn.functional.interpolate(coarse, 32, mode="bilinear")
    return (smooth * 255).to(torch.uint8)
