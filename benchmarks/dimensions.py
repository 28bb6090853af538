"""Do single dimensions come back in refits, and do they follow the factors of the rendered world?

The control of the factors is the same measure with the factors' rows shuffled.
"""

from __future__ import annotations

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from rich.table import Table

from core.cli.console import reporting, results
from core.config import HeadConfig
from core.encoders.load import load_encoder
from core.explain.contributions import factor_codes, factor_shares
from core.gallery.gallery import Gallery
from core.heads.head import Head
from core.images.files import write_json
from core.measures.dimensions import STABLE
from core.service.disentanglement import dimensions
from core.service.session import EMBEDDED, choose_head
from core.service.workspace import Workspace
from core.values import Encoder


def main() -> None:
    """Measure every head, print and keep."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, default=EMBEDDED)
    parser.add_argument("--encoder", action="append", help="default: moco and dino")
    parser.add_argument("--k", type=int, default=64, help="dimensions of the heads fitted here")
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/dimensions.json"))
    options = parser.parse_args()
    gallery = Gallery.open(options.gallery, read_only=True)
    rows: list[dict[str, object]] = []
    for name in options.encoder or ["moco", "dino"]:
        encoder = load_encoder(name)
        heads = {"default": choose_head(gallery, encoder, "default")}
        for kind in ("whiten", "infomax", "logdet"):
            config = HeadConfig(kind=kind, k=options.k)
            heads[kind] = gallery.fit(encoder, config=config)
        rows += [_measured(gallery, encoder, label, head) for label, head in heads.items()]
    write_json(options.out, {"gallery": len(gallery), "stable from": STABLE, "heads": rows})
    table = Table(*rows[0], title=f"{len(gallery)} images, stable from {STABLE}")
    for row in rows:
        table.add_row(*(f"{v:.3f}" if isinstance(v, float) else str(v) for v in row.values()))
    results.print(table)


def _measured(gallery: Gallery, encoder: Encoder, label: str, head: Head) -> dict[str, object]:
    with reporting() as progress:
        workspace = Workspace(gallery, encoder, head, progress=progress)
        found = dimensions(workspace, progress=progress)
    follows = [found.followed(i) for i in range(head.dim)]
    factors = factor_codes(gallery.records)
    order = np.random.default_rng(0).permutation(len(gallery))
    embeddings = np.asarray(workspace.embedded.embeddings)
    chance = factor_shares(embeddings[order], factors)
    named = Counter(factor for factor, _ in filter(None, follows))
    return {
        "encoder": encoder.name,
        "head": f"{label} ({head.name})",
        "similarity": float(found.similarity.mean()),
        "similarity, first 16": float(found.similarity[:16].mean()),
        "stable": int(found.stable.sum()),
        "dimensions": head.dim,
        "best factor's share": _best(found.shares),
        "the same, shuffled": _best(chance),
        "followed": ", ".join(f"{name} {count}" for name, count in named.most_common()),
    }


def _best(shares: np.ndarray) -> float:
    """Mean over dimensions of the largest share; 0 without factors."""
    return float(shares.max(axis=1).mean()) if shares.shape[1] else 0.0


if __name__ == "__main__":
    main()
