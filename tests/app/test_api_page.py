"""Every example of docs/api.md, as it stands there but for the address."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from gradio_client import Client

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(python|bash|json)\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = {"python": [sys.executable, "-c"], "bash": ["bash", "-euc"]}
RUN = [(kind, text) for kind, text in BLOCKS if kind in COMMANDS]


def names(block: tuple[str, str]) -> str:
    kind, text = block
    found = re.search(r"/call/(\w+)|api_name=\"/(\w+)|(streamable_http)", text)
    return f"{kind}-{next(filter(None, found.groups())) if found else 'text'}"


@pytest.mark.parametrize("block", RUN, ids=names)
def test_example_runs(block: tuple[str, str], url: str, picture: Path, tmp_path: Path):
    kind, text = block
    if kind == "bash" and shutil.which("curl") is None:
        pytest.skip("no curl")
    shutil.copy(picture, tmp_path / "picture.png")
    text = text.replace("http://127.0.0.1:7860", url.rstrip("/"))
    done = subprocess.run(
        [*COMMANDS[kind], text], cwd=tmp_path, capture_output=True, text=True, timeout=100
    )
    assert done.returncode == 0, done.stderr
    assert "event: error" not in done.stdout
    assert re.search("picture|histogram|attribute", done.stdout), done.stdout


def test_configurations_are_json():
    texts = [text for kind, text in BLOCKS if kind == "json"]
    assert texts
    for text in texts:
        assert json.loads(text)


def test_every_public_endpoint_is_on_the_page(url: str):
    info = Client(url, verbose=False).view_api(return_format="dict")
    for name in info["named_endpoints"]:
        assert f"`{name}`" in PAGE
