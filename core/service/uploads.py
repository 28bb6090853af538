"""Pictures that somebody gives, alone and in zips, as files for the time of some work."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.config import ImageLimits
from core.images.archives import unpack_images
from core.images.files import temporary_folder
from core.values import Cancelled, GalleryError, Progress, WellspringError, no_progress

Picture = tuple[str, Path | WellspringError]
"""What a picture is called, and its file; or a zip and why it was refused."""


@contextlib.contextmanager
def pictures_of(
    files: Sequence[str | Path],
    *,
    most: int,
    max_bytes: int,
    progress: Progress = no_progress,
) -> Iterator[list[Picture]]:
    """The pictures among files and in their zips; what was unpacked goes with the block.

    A zip that is refused stands in its place and costs no other file. Nothing is decoded.

    Args:
        files: pictures and zips; a zip is known by its name.
        most: pictures at most.
        max_bytes: sum of what all zips hold, unpacked.
        progress: called while zips are unpacked; may raise ``Cancelled``.

    Raises:
        GalleryError: when there are more pictures than ``most``.
    """
    with temporary_folder("uploads") as folder:
        found, left = list[Picture](), max_bytes
        for place, file in enumerate(map(Path, files)):
            if file.suffix.lower() != ".zip":
                found.append((file.name, file))
                continue
            into = folder / str(place)
            try:
                unpacked = unpack_images(
                    file,
                    into,
                    max_bytes=left,
                    max_images=most,
                    limits=ImageLimits(),
                    progress=progress,
                )
            except Cancelled:
                raise
            except WellspringError as error:
                found.append((file.name, error))
                continue
            left -= sum(each.stat().st_size for each in unpacked)
            found += [(each.relative_to(into).as_posix(), each) for each in unpacked]
        if len(found) > most:
            raise GalleryError(f"{len(found)} pictures are too many at once; give at most {most}")
        yield found
