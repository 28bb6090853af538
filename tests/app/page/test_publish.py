from __future__ import annotations

import re
from pathlib import Path

import pytest

from app.page import publish

ROOT = publish.ROOT
HEAD = (ROOT / "README.md").read_text(encoding="utf-8").split("---")[1]


def make(root: Path) -> Path:
    for path in (*publish.NEEDED, "assets/encoders/moco/model.safetensors", "core/x.py"):
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(path)
    return root


class Api:
    """What the Hub is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, object]]] = []

    def create_repo(self, space: str, **options: object) -> None:
        self.asked.append(("create", {"repo_id": space, **options}))

    def upload_folder(self, **options: object) -> None:
        self.asked.append(("upload", options))


def test_all_that_the_app_needs_goes_up_and_nothing_else():
    sizes = publish.listing(ROOT)
    assert {"app/ui.py", "core/service/session.py", "assets/app/wellspring.css"} <= set(sizes)
    assert {"assets/gallery/images/world-0000.webp", "assets/gallery/queries/queries.json"} <= set(
        sizes
    )
    for part in ("tests/", "benchmarks/", ".git", "__pycache__", ".venv", "demo/"):
        assert not [
            path for path in sizes if path.startswith(part) or part == "__pycache__" in path
        ]


def test_hidden_files_and_links_stay_here(tmp_path: Path):
    root = make(tmp_path)
    (root / "core" / ".env").write_text("secret")
    (root / "core" / "__pycache__").mkdir()
    (root / "core" / "__pycache__" / "x.pyc").write_text("")
    (root / "core" / "outside.py").symlink_to(ROOT / "app.py")
    assert {path for path in publish.listing(root) if path.startswith("core/")} == {"core/x.py"}


@pytest.mark.parametrize("gone", ["app.py", "assets/gallery/gallery.json"])
def test_missing_parts_are_named(tmp_path: Path, gone: str):
    (make(tmp_path) / gone).unlink()
    with pytest.raises(publish.PublishError, match=f"missing: {gone}"):
        publish.listing(tmp_path)


def test_large_files_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (make(tmp_path) / "core" / "large.bin").write_bytes(bytes(200))
    monkeypatch.setattr(publish, "MAX_FILE", 100)
    with pytest.raises(publish.PublishError, match=r"core/large\.bin"):
        publish.listing(tmp_path)


def test_upload_sends_the_listed_files(tmp_path: Path):
    api, sizes = Api(), publish.listing(make(tmp_path))
    assert publish.upload(tmp_path, "me/it", sizes, api=api).endswith("/spaces/me/it")
    (_, made), (_, sent) = api.asked
    assert (made["repo_id"], made["repo_type"], made["space_sdk"]) == ("me/it", "space", "gradio")
    assert sent["allow_patterns"] == list(sizes)


def test_nothing_is_uploaded_unasked(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(publish, "upload", lambda *_, **__: pytest.fail("uploaded"))
    assert publish.main(["me/it"]) == 0
    assert "Nothing was uploaded" in capsys.readouterr().out


def test_front_matter_names_the_pinned_gradio():
    pinned = re.search(r"gradio\[.*\]==(\S+)", (ROOT / "requirements.txt").read_text())
    assert pinned
    assert f"sdk_version: {pinned[1]}\n" in HEAD
    assert 'python_version: "3.12"' in HEAD
    assert (ROOT / re.findall(r"app_file: (\S+)", HEAD)[0]).is_file()
    assert len(re.findall(r"short_description: (.+)", HEAD)[0]) <= 60
