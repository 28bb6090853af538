"""What lies below a folder: images, tables, pictures that are not read, links."""

from __future__ import annotations

import os

import pytest
from PIL import Image

from core.images.listing import list_images, look
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
    assert look(tmp_path).links == (
        "the link 'b/loop' leads to a folder that is listed anyway",
        "the link 'b/other.png' leads to a folder that is listed anyway",
    )


def test_pictures_are_known_by_their_first_bytes_where_the_name_does_not_tell(tmp_path):
    picture = Image.new("RGB", (20, 20), "red")
    for name, form in (("scan", "JPEG"), ("photo.jpg_large", "PNG"), ("x.dat", "GIF")):
        picture.save(tmp_path / name, form)
    (tmp_path / "notes.txt").write_text("BMW is a text that begins like a bitmap")
    (tmp_path / "design.psd").write_bytes(b"anything")
    (tmp_path / "layers").write_bytes(b"8BPS\0\1")
    (tmp_path / "drawing.xml").write_text('<?xml version="1.0"?>\n<svg></svg>')
    (tmp_path / "page.html").write_text("<!doctype html><p>none")
    found = look(tmp_path)
    assert [path.name for path in found.images] == ["photo.jpg_large", "scan", "x.dat"]
    unread = {kind: [path.name for path in paths] for kind, paths in found.unread.items()}
    assert unread == {"PSD": ["design.psd", "layers"], "SVG": ["drawing.xml"]}


def test_links_to_nowhere_are_said_once(tmp_path):
    for name in ("folder", "loop", "gone.png"):
        (tmp_path / name).symlink_to("loop" if name == "loop" else f"nowhere/{name}")
    found = look(tmp_path)
    assert found.links == ("the link 'folder' leads nowhere", "the link 'loop' leads nowhere")
    assert [path.name for path in found.images] == ["gone.png"]  # left out when it is read


def test_tables_are_found_in_any_case_and_any_folder(tmp_path):
    for name in ("Metadata.CSV", "trip/metadata.jsonl", "trip/other.csv", "metadata.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("file_name\n")
    (tmp_path / "deep" / "metadata.json").mkdir(parents=True)
    (tmp_path / "metadata.tsv").symlink_to("metadata.tsv")
    (tmp_path / "metadata.csv.gz").write_bytes(b"")
    (tmp_path / "Metadata (1).csv").write_text("")
    (tmp_path / "metadatabase.txt").write_text("")
    others = [path.name for path in look(tmp_path).other_tables]
    assert others == ["Metadata (1).csv", "metadata.csv.gz", "metadata.txt", "other.csv"]
    names = [path.relative_to(tmp_path).as_posix() for path in look(tmp_path).tables]
    assert names == ["Metadata.CSV", "trip/metadata.jsonl"]


def test_links_to_folders_elsewhere_are_followed_once(tmp_path):
    """A folder of nothing but links held no images."""
    store, folder = tmp_path / "store", tmp_path / "folder"
    for name in ("one/a.png", "one/deep/b.png", "two/c.png"):
        (store / name).parent.mkdir(parents=True, exist_ok=True)
        (store / name).touch()
    folder.mkdir()
    for link, target in (("1", "one"), ("2", "two"), ("3", "one/deep"), ("2nd", "two")):
        (folder / link).symlink_to(store / target, target_is_directory=True)
    (store / "two" / "back").symlink_to(store / "two", target_is_directory=True)
    (store / "two" / "up").symlink_to(tmp_path, target_is_directory=True)
    found = look(folder)
    names = [path.relative_to(folder).as_posix() for path in found.images]
    assert names == ["1/a.png", "1/deep/b.png", "2/c.png"]
    assert len(found.links) == 6
    assert sum("is followed to" in said for said in found.links) == 2
    assert any("'2/up' leads to a folder above it" in said for said in found.links)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes")
def test_no_pipe_is_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert look(tmp_path).images == ()


def test_what_is_no_folder_cannot_be_listed(tmp_path):
    (tmp_path / "file").touch()
    for name in ("missing", "file"):
        with pytest.raises(ImageError, match=f"'{name}' is not a readable folder"):
            list_images(tmp_path / name)
