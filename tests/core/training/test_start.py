"""The start is what the package registry carries, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from core.encoders.backbones.storage import weights_hash
from core.encoders.load import load_network
from core.training.start import load_start, packaged
from core.values import EncoderError


@pytest.fixture
def weights():
    with packaged() as path:
        yield path


@pytest.mark.slow
def test_the_bundled_start_holds_the_weights_of_the_package(weights: Path):
    assert weights_hash(load_start(weights)) == weights_hash(load_network("lite0"))


def test_tensors_of_another_network_are_refused(weights: Path, tmp_path: Path):
    state = torch.load(weights, weights_only=True)
    torch.save(dict(list(state.items())[:-2]), tmp_path / "short.pth")
    with pytest.raises(EncoderError, match="does not hold the tensors"):
        load_start(tmp_path / "short.pth")
