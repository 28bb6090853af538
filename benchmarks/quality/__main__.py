"""Measure and store the results of quality, or write docs/results.md from what is stored.

    python -m benchmarks.quality                    # write the page from stored measurements
    python -m benchmarks.quality --measure          # measure everything anew, then write it
    python -m benchmarks.quality --measure heads    # only this part

What an encoder's identity has been measured for is read from the cache, so a call that was stopped
goes on, and another encoder's weights are measured anew.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from benchmarks.quality import (
    axes,
    combining,
    defaults,
    gallery_size,
    heads,
    known_pairs,
    levels,
    rivals,
    robustness,
    roles,
    scoring,
    settings,
    starts,
    trained,
    transfers,
)
from benchmarks.quality.page import DOCS, write
from benchmarks.quality.photos import some_photos
from benchmarks.quality.study import Study
from core.cli.console import reporting
from core.encoders.load import load_encoder

_NETWORKS = ("lite0", "moco", "dino", "random")
ENCODERS = (*_NETWORKS, "thumbnail", "histogram", "phash", "edges")

_FAST = ("lite0", "moco", "dino", "thumbnail", "histogram")
_RIVALS = ("lite0", "random", "thumbnail", "histogram", "phash", "edges")
_PARTS: Mapping[str, tuple[Callable[..., None], Sequence[str]]] = {
    "defaults": (defaults.measure, ENCODERS),
    "roles": (roles.measure, ENCODERS),
    "trained": (trained.measure, trained.NAMES),
    "rivals": (rivals.measure, _RIVALS),
    "rivals_roles": (rivals.measure, _RIVALS),
    "levels": (levels.measure, _NETWORKS),
    "levels_roles": (levels.measure, _NETWORKS),
    "starts": (starts.measure, starts.NAMES),
    "starts_roles": (starts.measure, starts.NAMES),
    "combining": (combining.measure, ("lite0",)),
    "settings": (settings.measure, ("lite0", "lite0 at 160", "lite0 at 288")),
    "scoring": (scoring.measure, _NETWORKS),
    "heads": (heads.measure, _NETWORKS),
    "known_pairs": (known_pairs.measure, ("lite0",)),
    "axes": (axes.measure, _NETWORKS),
    "gallery_size": (gallery_size.measure, _FAST),
    "robustness": (robustness.measure, _FAST),
    "transfers": (transfers.measure, _NETWORKS),
}
"""What measures every part, and the encoders that it measures."""


def main() -> None:
    """Measure what is asked for, then write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--measure", nargs="*", choices=tuple(_PARTS), metavar="PART")
    parser.add_argument("--gallery", type=Path, default=Path("galleries/real"))
    parser.add_argument("--photos", type=int, help="a gallery of as many photographs instead")
    parser.add_argument("--encoder", action="append", help="only these encoders")
    parser.add_argument("--cache", type=Path, default=Path("galleries/measured"))
    parser.add_argument("--per-exemplar", type=int, default=2, help="queries in robustness")
    options = parser.parse_args()
    if options.measure is not None:
        data = Path(os.environ["WELLSPRING_DATA"])
        for part in options.measure or _PARTS:
            measure, known = _PARTS[part]
            if part == "robustness":
                measure = partial(measure, per_exemplar=options.per_exemplar)
            wanted = [name for name in known if name in (options.encoder or known)]
            encoders = [(starts.load if " at " in name else load_encoder)(name) for name in wanted]
            by_role = part.endswith("roles")
            # The start at 224 pixels has the features of lite0, and other local descriptors.
            cache = options.cache / "starts" if part.startswith("starts") else options.cache
            how = {"cache": cache, "pairs": roles.PAIRS if by_role else "pairs.json"}
            with reporting() as progress:
                gallery = options.gallery
                if options.photos is not None:
                    where = {"cache": cache, "progress": progress}
                    gallery = some_photos(data / "real", options.photos, encoders, **where)
                measure(Study.open(data, gallery, encoders, progress=progress, **how))
    write(DOCS)


if __name__ == "__main__":
    main()
