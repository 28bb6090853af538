"""What it costs to change a stored gallery, by its size: ``python -m benchmarks.scale.store``.

Galleries are written in the store's own format: features, descriptors, metadata and thumbnails of
images of a real one, drawn at random. A store does not look at values, so that these do as well as
any. 100 pictures are drawn, read and encoded by the product's own door, with lite0 and the views
beside it.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.scale.table import keep, results, write_page
from benchmarks.scale.world import alone
from core.config import BuildConfig
from core.encoders.load import load_encoder
from core.gallery.build import update
from core.gallery.commit import commit, tidy
from core.gallery.gallery import SHIPPED, Gallery, encoder_key
from core.gallery.remove import remove
from core.gallery.shards import Shard
from core.gallery.source import Source
from core.gallery.store import Store
from core.gallery.verify import verify
from core.gallery.writing import Difference, Features
from core.heads.head import Head
from core.images.files import folder_size
from core.images.seals import sealed
from core.images.thumbnails import thumbnail
from core.search.extra_views import with_extra_views
from core.values import Encoder, ImageRecord, no_progress

SIZES, LARGE = (20_000, 80_000, 320_000), 1_000_000
COME, GONE, READ = 100, 10, 50
_CHUNK = 8_192


def main() -> None:
    """Time one size after another, each in a process of its own, and store what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, default=SHIPPED, help="whose images are drawn")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES)
    parser.add_argument("--large", action="store_true", help="a million images too")
    parser.add_argument("--place", type=Path, help="a folder on the disk that is measured")
    parser.add_argument("--no-verify", action="store_true", help="leave out verify")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        with tempfile.TemporaryDirectory(prefix="wellspring-", dir=options.place) as folder:
            found = run(options.gallery, options.one, Path(folder), whole=not options.no_verify)
            sys.stdout.write(json.dumps(found))
        return
    given = ["--gallery", options.gallery, *(["--no-verify"] if options.no_verify else [])]
    given += ["--place", options.place] if options.place else []
    for size in [*options.sizes, *([LARGE] if options.large else [])]:
        found = results().get("store", {})
        measured = alone("benchmarks.scale.store", size, *given)
        print(size, measured, flush=True)  # noqa: T201 - what it is for
        keep(store={**found, "now": {**found.get("now", {}), str(size): measured}})
    write_page()


class Meter:
    """Seconds of the processor and on the clock, bytes written, peak memory, by what was done."""

    def __init__(self) -> None:
        self.found: dict[str, dict[str, float]] = {}

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Measure what is done inside."""
        gc.collect()
        before, began, clock = _written(), time.process_time(), time.monotonic()
        yield
        self.found[name] = {
            "seconds": time.process_time() - began,
            "clock": time.monotonic() - clock,
            "bytes": _written() - before,
            "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
        }


def run(source: Path, n: int, folder: Path, *, whole: bool) -> dict[str, object]:
    """Make a gallery of n images; open it, add to it, take from it, look the whole through."""
    encoders = with_extra_views([load_encoder("lite0")])
    photos, place, meter = folder / "photos", folder / "g", Meter()
    new = drawn(photos, COME)
    with meter.of("add 100 to none"):
        update(folder / "none", Source(photos, only=new), encoders)
    made(place, n, source=Gallery.open(source, read_only=True), photos=photos, encoders=encoders)
    bytes_each = folder_size(place / "generations") / n
    with meter.of("open"):
        gallery = Gallery.open(place)
    with meter.of("read 50"):
        read(gallery, encoders)
    del gallery
    gone = np.random.default_rng(1).choice(n, GONE, replace=False).tolist()
    with meter.of("remove 10"):
        remove(place, gone)
    with meter.of("add 100"):
        update(place, Source(photos, only=new), encoders)
    with meter.of("remove 10 more"):
        remove(place, [n + 1, *(each + 1 for each in gone[:-1] if each + 1 not in gone)])
    with meter.of("open after these"):
        gallery = Gallery.open(place)
    with meter.of("read 50 after these"):
        read(gallery, encoders)
    del gallery
    if whole:
        with meter.of("verify"):
            damages = verify(place)
        assert not damages, damages[:3]
    return {"steps": meter.found, "bytes_each": bytes_each}


def drawn(photos: Path, count: int) -> tuple[str, ...]:
    """Draw pictures into a folder; their names."""
    photos.mkdir()
    names = tuple(f"new-{number:03}.jpg" for number in range(count))
    for number, name in enumerate(names):
        cells = np.random.default_rng(number).integers(0, 256, (12, 16, 3), dtype=np.uint8)
        Image.fromarray(cells).resize((640, 480), Image.Resampling.BICUBIC).save(photos / name)
    return names


def made(place: Path, n: int, *, source: Gallery, photos: Path, encoders: list[Encoder]) -> None:
    """Write a gallery of n images, each with what is stored of one of another gallery."""
    base = np.random.default_rng(0).integers(len(source), size=n)
    records = [_record(source.records[row], number) for number, row in enumerate(base.tolist())]
    store, heads = Store(place), dict[str, Head]()
    with store.writing():
        store.create("made", root=str(photos.resolve()))
        shard = Shard(store.work / "shard-0", tuple(records), tuple(map(encoder_key, encoders)))
        for encoder, key in zip(encoders, shard.keys, strict=True):
            (shard.folder / key).mkdir(parents=True)
            _draw(np.asarray(source.features(encoder)), base, shard.folder / key / "features.npy")
            patches, head = source.patches(encoder), source.patch_head(encoder)
            if patches is not None and head is not None:
                _draw(np.asarray(patches), base, shard.folder / key / "patches.npy")
                heads[key] = head
        empty, come = Gallery.open(place, whole=True), Difference(added=records)
        commit(empty, come, Features([shard], heads), progress=no_progress)
        tidy(empty, Difference(), everything=False, progress=no_progress)
        _thumbnails(store, records, source, base)


def read(gallery: Gallery, encoders: list[Encoder]) -> None:
    """Read some rows of all that is stored, as an answer does."""
    rows = np.random.default_rng(2).choice(len(gallery), READ, replace=False)
    for encoder in encoders:
        for array in (gallery.features(encoder), gallery.patches(encoder)):
            if array is not None:
                np.ascontiguousarray(array[rows])


def _record(known: ImageRecord, number: int) -> ImageRecord:
    """A record of an image's metadata under a name and a content of its own."""
    content = hashlib.sha256(str(number).encode()).hexdigest()
    return replace(
        known,
        id=number,
        path=f"{number // 1000:04}/{number:07}.jpg",
        sha256=content,
        phash=content[:16],
        size=100_000 + number,
        modified=10**18 + number,
    )


def _draw(array: np.ndarray, rows: np.ndarray, path: Path) -> None:
    shape = (len(rows), *array.shape[1:])
    made = np.lib.format.open_memmap(path, "w+", array.dtype, shape)
    for start in range(0, len(rows), _CHUNK):
        made[start : start + _CHUNK] = array[rows[start : start + _CHUNK]]


def _thumbnails(
    store: Store, records: list[ImageRecord], source: Gallery, base: np.ndarray
) -> None:
    """Thumbnails as they are made, packed: those of the other gallery's images."""
    made: dict[int, bytes] = {}
    for record, row in zip(records, base.tolist(), strict=True):
        if row not in made:
            picture = source.thumbnail(row).convert("RGB")
            made[row] = thumbnail(picture, side=BuildConfig().thumbnail)
        path = store.made_thumbnail(record.sha256)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sealed(made[row], of=record.sha256))
    store.pack_thumbnails(progress=no_progress)


def _written() -> int:
    """Bytes that this process has given to be written, to files of any kind."""
    lines = Path("/proc/self/io").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("wchar"))


if __name__ == "__main__":
    main()
