"""What a finished gallery takes on disk, by what it is: ``python -m benchmarks.scale.disk G``.

The gallery is one that was built and finished (``index``), with all that answers are kept with; the
map, which is made when somebody looks at it, is among it where it was.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from benchmarks.scale.table import keep, write_page
from core.gallery.gallery import Gallery
from core.images.files import folder_size


def main() -> None:
    """Measure a gallery, store what was found and write the page."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gallery", type=Path)
    options = parser.parse_args()
    gallery = Gallery.open(options.gallery, read_only=True)
    found = sizes(options.gallery)
    sys.stdout.write(f"{found}\n")
    keep(disk={"images": len(gallery), "bytes": found})
    write_page()


def sizes(folder: Path) -> dict[str, int]:
    """Bytes of all that lies in the folder of a gallery, by what it is."""
    found = {"thumbnails": folder_size(folder / "thumbnails")}
    for path in folder.glob("generations/*/*"):
        parts = path.iterdir() if path.name == "artefacts" else [path]
        for part in parts:
            name = _kind(part)
            found[name] = found.get(name, 0) + _size(part)
    found["all else"] = folder_size(folder) - sum(found.values())
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def _kind(path: Path) -> str:
    """What a file or folder of a generation holds."""
    if path.parent.name == "artefacts":
        return path.name.rpartition("-")[0].rpartition("-")[0] or path.name
    return path.stem.partition("@")[0]


def _size(path: Path) -> int:
    return folder_size(path) if path.is_dir() else path.stat().st_size


if __name__ == "__main__":
    main()
