"""How wide local descriptors must be, how deep and how strongly to re-rank; on the tune half.

The gallery must hold an encoder with the widest descriptors that are compared: narrower ones are
their first dimensions, which the patch head orders by variance.

    python -m benchmarks.descriptors --gallery G --encoder moco
"""

from __future__ import annotations

import argparse
import os
import time
from itertools import product
from pathlib import Path

import numpy as np

from core.cli.console import print_cells, say
from core.config import ScoreConfig
from core.encoders.descriptors import quantize
from core.encoders.load import load_encoder
from core.measures.evaluate import Bench
from core.measures.retrieval import table
from core.service.session import choose_head


def main() -> None:
    """Rank the pairs for every width, depth and weight."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, required=True, help="a built gallery, or a folder")
    parser.add_argument("--encoder", default="moco")
    parser.add_argument("--widths", type=int, nargs="+", default=[64, 32, 24, 16, 8])
    parser.add_argument("--depths", type=int, nargs="+", default=[200])
    parser.add_argument("--weights", type=float, nargs="+", default=[6.0, 12.0])
    options = parser.parse_args()
    data, cache = Path(os.environ["WELLSPRING_DATA"]), Path(os.environ["WELLSPRING_CACHE"])
    encoder = load_encoder(options.encoder)
    bench = Bench(data / "pairs.json", options.gallery, [encoder], cache=cache, patch_heads={})
    head = choose_head(bench.gallery, encoder, "default")
    pairs = [pair for pair in bench.all_pairs if pair.half == "tune"]
    stored = [np.asarray(gallery.patches(encoder)) for gallery in (bench.gallery, bench.images)]
    results: dict[str, np.ndarray] = {}
    for width, depth, weight in product(options.widths, options.depths, options.weights):
        own, asked = (quantize(a[..., :width].astype(np.float32)) for a in stored)
        bench.gallery.patches = lambda encoder, kept=own: kept
        bench.images.patches = lambda encoder, kept=asked: kept
        score = ScoreConfig(candidates=depth, rerank_weight=weight)
        began = time.perf_counter()
        name = f"{width} wide, {depth} deep, weight {weight:g}"
        results[name] = bench.run(encoder, head, pairs=pairs, score=score)
        say(f"{name}: {1e3 * (time.perf_counter() - began) / len(pairs):.1f} ms a query")
    print_cells(options.encoder, table(pairs, results))


if __name__ == "__main__":
    main()
