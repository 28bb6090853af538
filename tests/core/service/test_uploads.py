"""Pictures come out of files and zips; a bad zip costs no other, and nothing stays behind."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from PIL import Image

from core.service.uploads import pictures_of
from core.values import Cancelled, GalleryError

MOST_BYTES = 1_000_000


def picture(path: Path, shade: int = 0) -> Path:
    Image.new("RGB", (16, 16), (shade, shade, shade)).save(path)
    return path


def packed(path: Path, names: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in names.items():
            made.writestr(name, content)
    return path


def test_zips_are_unpacked_in_their_place_and_gone_afterwards(tmp_path: Path):
    one, other = (picture(tmp_path / f"{i}.png", i) for i in (1, 2))
    content = {"trip/a.png": one.read_bytes(), "trip/words.txt": b"no", "b.png": other.read_bytes()}
    archive = packed(tmp_path / "own.ZIP", content)
    with pictures_of([one, archive, other], most=10, max_bytes=MOST_BYTES) as found:
        assert [name for name, _ in found] == ["1.png", "b.png", "trip/a.png", "2.png"]
        files = [file for _, file in found if isinstance(file, Path)]
        assert files[2].read_bytes() == one.read_bytes()
        assert all(file.is_file() for file in files)
    assert not files[1].exists()
    assert not files[2].exists()
    assert one.exists()


def test_a_refused_zip_stands_in_its_place(tmp_path: Path):
    bad, one = tmp_path / "bad.zip", picture(tmp_path / "1.png")
    bad.write_bytes(b"PK no zip")
    away = packed(tmp_path / "away.zip", {"../out.png": one.read_bytes()})
    bomb = packed(tmp_path / "bomb.zip", {"a.png": bytes(MOST_BYTES + 1)})
    with pictures_of([bad, one, away, bomb], most=10, max_bytes=MOST_BYTES) as found:
        refused = {name: str(file) for name, file in found if not isinstance(file, Path)}
    assert set(refused) == {"bad.zip", "away.zip", "bomb.zip"}
    assert "not a zip of images" in refused["bad.zip"]
    assert "relative paths" in refused["away.zip"]
    assert "1,000,000 bytes" in refused["bomb.zip"]
    assert not (tmp_path.parent / "out.png").exists()


def test_the_limits_hold_over_all_zips_together(tmp_path: Path):
    one = picture(tmp_path / "1.png").read_bytes()
    zips = [packed(tmp_path / f"{i}.zip", {"a.png": one, "b.png": one}) for i in range(3)]
    with (
        pytest.raises(GalleryError, match="6 pictures are too many at once; give at most 5"),
        pictures_of(zips, most=5, max_bytes=MOST_BYTES),
    ):
        pass
    with pictures_of(zips, most=9, max_bytes=5 * len(one)) as found:
        assert [isinstance(file, Path) for _, file in found] == [True] * 4 + [False]


def test_a_stop_ends_unpacking_and_is_no_refusal_of_the_zip(tmp_path: Path):
    one = picture(tmp_path / "1.png").read_bytes()
    zips = [packed(tmp_path / f"{i}.zip", {"a.png": one}) for i in range(2)]

    def stop(*_: object) -> None:
        raise Cancelled("stopped")

    with (
        pytest.raises(Cancelled),
        pictures_of(zips, most=9, max_bytes=MOST_BYTES, progress=stop),
    ):
        pass
