"""Times every stage of finishing a gallery at several sizes: ``python -m benchmarks.scale``."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.scale.stages import run, run_map
from benchmarks.scale.table import keep, merged, results, write_page
from benchmarks.scale.world import alone, real, resampled

LARGE = 320_000


def main() -> None:
    """Time one size after another, each in a process of its own, and store what was found."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, default=Path("galleries/real"))
    parser.add_argument("--encoder", default="lite0")
    parser.add_argument("--sizes", type=int, nargs="+", default=[5_000, 20_000, 80_000])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--large", action="store_true", help="320,000 images too")
    parser.add_argument("--no-crops", action="store_true", help="keep what was found of crops")
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--no-map", action="store_true", help="keep what was found of the map")
    which.add_argument("--map-alone", action="store_true", help="keep what was found of the rest")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one is not None:
        source = real(options.gallery, options.encoder)
        with tempfile.TemporaryDirectory(prefix="wellspring-scale-") as folder:
            world = resampled(source, options.one, folder=Path(folder), seed=options.seed)
            if options.map_alone:
                found = {"stages": run_map(world)}
            else:
                found = run(world, with_map=not options.no_map, with_crops=not options.no_crops)
            sys.stdout.write(json.dumps(found))
        return
    now = results().get("now", {"sizes": {}}) | {"seed": options.seed, "command": "make scale"}
    given = ["--gallery", options.gallery, "--encoder", options.encoder, "--seed", options.seed]
    given += ["--no-map"] * options.no_map + ["--map-alone"] * options.map_alone
    given += ["--no-crops"] * options.no_crops
    for size in [*options.sizes, *([LARGE] if options.large else [])]:
        found = alone("benchmarks.scale", size, *given)
        now["sizes"][str(size)] = merged(now["sizes"].get(str(size)), found)
        keep(now=now)
        for stage in now["sizes"][str(size)]["stages"]:
            words = f"{stage['seconds']:10.2f} s {stage['memory']:6.2f} GB  {stage['name']}"
            print(f"{size:9,} {words}", flush=True)  # noqa: T201 - what it is for
    write_page()


if __name__ == "__main__":
    main()
