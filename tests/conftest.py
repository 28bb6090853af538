"""One thread for the small networks of all tests, and uploads that no other process removes."""

from __future__ import annotations

import os
import tempfile

import pytest
import torch

from tests import typed

typed.install()
# What a developer has fetched or prepared changes no test.
os.environ["WELLSPRING_CACHE"] = tempfile.mkdtemp(prefix="wellspring-tests-cache-")
# Gradio names uploads by their content, and every server removes its own at its end.
os.environ["GRADIO_TEMP_DIR"] = tempfile.mkdtemp(prefix="wellspring-tests-")


@pytest.fixture(autouse=True, scope="session")
def one_thread():
    torch.set_num_threads(1)
