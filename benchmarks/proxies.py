"""Short runs that choose the views: each goes on from one encoder and is measured beside the base.

Measured by global cosine (whitened, without re-ranking) among real distractors, on sets that need
no test pair: photos of one subject (restaging), style transfers of one content and of one texture,
and the tune half of the known pairs. Printed is the mean log2 rank of the best right image, and its
paired difference from the base run (less than 0 is better).

    python -m benchmarks.proxies --start assets/encoders/moco --images real96.npy --out runs
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from core.backbones import load
from core.config import GENERATIVE, DistortConfig, HeadConfig, TrainConfig, ViewConfig
from core.encoder import NetworkEncoder
from core.head import fit_head
from core.images import list_images
from core.metrics import clustered_interval, read_pairs
from core.training.loop import train

_DISTRACTORS, _PER_SET = 1_200, 160
_STRONG = replace(ViewConfig(), jitter=0.4, hue=0.1, grey_probability=0.2)

VARIANTS: Mapping[str, ViewConfig] = {
    "base": ViewConfig(),
    "recompose": ViewConfig(distort=DistortConfig(recompose=0.5)),
    "shuffle": ViewConfig(distort=DistortConfig(shuffle=0.5)),
    "warp": ViewConfig(distort=DistortConfig(warp=0.7)),
    "restyle": ViewConfig(distort=DistortConfig(restyle=0.5)),
    "resample": ViewConfig(distort=DistortConfig(resample=0.5)),
    "strong jitter": _STRONG,
    "no jitter": replace(ViewConfig(), jitter_probability=0.0, grey_probability=0.0),
    "small crops": replace(ViewConfig(), scale=(0.08, 1.0)),
    "mix": GENERATIVE,
}


class Probe:
    """Images of every set, decoded once; ranks of the right answers under a backbone."""

    def __init__(self, data: Path) -> None:
        rng = np.random.default_rng(0)
        real = [path for path in list_images(data / "real") if "dreambooth" not in path.parts]
        self.paths = [real[i] for i in rng.permutation(len(real))[:_DISTRACTORS]]
        self.queries: dict[str, list[tuple[int, list[int], str]]] = {}
        self._subjects(data)
        self._styles(data, rng)
        self._pairs(data, rng)
        self.pixels = [_pixels(path) for path in self.paths]

    def ranks(self, folder: Path) -> dict[str, np.ndarray]:
        """log2 rank of the best right image for every query of every set."""
        encoder = NetworkEncoder("probe", load(folder))
        starts = range(0, len(self.pixels), 32)
        features = np.concatenate(
            [encoder.encode([Image.fromarray(p) for p in self.pixels[s : s + 32]]).features
             for s in starts]
        )  # fmt: skip
        head = fit_head(features[:_DISTRACTORS], config=HeadConfig(k=256, shrinkage=0.1))
        rows = head(features, role="gallery")
        return {name: self._ranked(rows, name) for name in self.queries}

    def clusters(self, name: str) -> list[str]:
        """What is resampled together."""
        return [cluster for _, _, cluster in self.queries[name]]

    def _ranked(self, rows: np.ndarray, name: str) -> np.ndarray:
        found: list[float] = []
        for query, right, _ in self.queries[name]:
            cosines = rows @ rows[query]
            best = cosines[right].max()
            found.append(float(np.log2(1 + (cosines[:_DISTRACTORS] > best).sum())))
        return np.array(found)

    def _add(self, path: Path) -> int:
        if path not in self.paths[_DISTRACTORS:]:
            self.paths.append(path)
        return self.paths.index(path, _DISTRACTORS)

    def _subjects(self, data: Path) -> None:
        files = list_images(data / "real" / "dreambooth")
        rows = {path: self._add(path) for path in files}
        subject = {path: path.stem.rpartition("_")[0] or path.parent.name for path in files}
        self.queries["one subject"] = [
            (rows[p], [rows[q] for q in files if subject[q] == subject[p] and q != p], subject[p])
            for p in files
            if sum(subject[q] == subject[p] for q in files) > 1
        ]

    def _styles(self, data: Path, rng: np.random.Generator) -> None:
        files = list_images(data / "synthetic" / "style_transfer")
        names = [path.stem.split("-")[:2] for path in files]
        for place, name in enumerate(("one content", "one texture")):
            chosen = rng.permutation(len(files))[:_PER_SET]
            self.queries[name] = []
            for i in chosen:
                like = [j for j in range(len(files)) if names[j][place] == names[i][place]
                        and j != i]  # fmt: skip
                if like:
                    other = int(rng.choice(like))
                    query, right = self._add(files[i]), self._add(files[other])
                    self.queries[name].append((query, [right], names[i][place]))

    def _pairs(self, data: Path, rng: np.random.Generator) -> None:
        pairs = read_pairs(data / "pairs.json", split="tune")
        for source in sorted({pair.source for pair in pairs}):
            own = [pair for pair in pairs if pair.source == source]
            own = [own[i] for i in rng.permutation(len(own))[:_PER_SET]]
            self.queries[source] = [
                (self._add(data / p.generated), [self._add(data / e) for e in p.exemplars],
                 p.cluster) for p in own
            ]  # fmt: skip


def _pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB").resize((160, 160), Image.Resampling.BICUBIC))


def main() -> None:
    """Train what is not there yet, measure everything, print the differences."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--start", type=Path, required=True, help="encoder that every run goes on from"
    )
    parser.add_argument("--images", type=Path, required=True, help="packed uint8 images, .npy")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=90)
    parser.add_argument("--batch", type=int, default=192)
    parser.add_argument("--only", nargs="*", default=list(VARIANTS))
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
    images = torch.from_numpy(np.load(args.images))
    probe = Probe(Path(os.environ["WELLSPRING_DATA"]))
    results = {"start": probe.ranks(args.start)}
    for name in args.only:
        config = TrainConfig(
            "moco", args.steps, batch=args.batch, learning_rate=5e-4, view=VARIANTS[name]
        )
        folder = args.out / name.replace(" ", "-")
        train(load(args.start), images, config=config, out=folder)
        results[name] = probe.ranks(folder / "encoder")
        _print(probe, results, name)
    stored = {n: {s: v.tolist() for s, v in r.items()} for n, r in results.items()}
    (args.out / "proxies.json").write_text(json.dumps(stored))


def _print(probe: Probe, results: Mapping[str, Mapping[str, np.ndarray]], name: str) -> None:
    base = results.get("base", results["start"])
    for source, values in results[name].items():
        gap = clustered_interval(values - base[source], probe.clusters(source))
        top = float((values == 0).mean())
        print(  # noqa: T201
            f"{name:14} {source:16} R@1 {top:.3f} log2 rank {values.mean():.3f} "
            f"difference {gap.mean:+.3f} [{gap.low:+.3f}, {gap.high:+.3f}]",
            flush=True,
        )


if __name__ == "__main__":
    main()
