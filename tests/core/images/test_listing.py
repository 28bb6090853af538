"""Which files below a folder are images."""

from __future__ import annotations

import pytest

from core.images.listing import list_images
from core.values import ImageError


def test_images_are_listed_in_order_without_hidden_files_or_loops(tmp_path):
    names = ["b/2.JPG", "a.png", "b.png", "b/c/é\n写.webp", "B.tiff", "a/z.gif"]
    others = [".hidden.png", ".git/x.png", "b/notes.txt", "png", "b/._a.jpg"]
    for name in names + others:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "b" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "b" / "other.png").symlink_to(tmp_path / "a", target_is_directory=True)
    (tmp_path / "d.png").mkdir()
    found = [path.relative_to(tmp_path).as_posix() for path in list_images(tmp_path)]
    assert found == sorted(names)


def test_what_is_no_folder_cannot_be_listed(tmp_path):
    (tmp_path / "file").touch()
    for name in ("missing", "file"):
        with pytest.raises(ImageError, match=f"'{name}' is not a readable folder"):
            list_images(tmp_path / name)
