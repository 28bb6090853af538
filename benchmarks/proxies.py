"""Short runs that choose the views: each goes on from one encoder and is measured beside the base.

Measured by global cosine (whitened, without re-ranking) among real distractors, on sets that need
no test pair: photos of one subject (restaging), style transfers of one content and of one texture,
and the tune half of the known pairs. Printed is the mean log2 rank of the best right image, and its
paired difference from the base run (less than 0 is better); docs/results.md has the table.

    python -m benchmarks.proxies --start assets/encoders/moco --images real96.npy --out runs
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.study import RESULTS
from core.config import (
    GENERATIVE,
    DistortConfig,
    HeadConfig,
    RegulariseConfig,
    TrainConfig,
    ViewConfig,
)
from core.encoders.backbones import load, weights_hash
from core.encoders.network import NetworkEncoder
from core.heads.fit import fit_head
from core.images.files import write_json
from core.images.listing import list_images
from core.measures.retrieval import clustered_interval, read_pairs
from core.training.loop import train

_DISTRACTORS, _PER_SET = 1_200, 160
_STRONG = replace(ViewConfig(), jitter=0.4, hue=0.1, grey_probability=0.2)


@dataclass(frozen=True)
class Variant:
    """What is different in a run."""

    view: ViewConfig = field(default_factory=ViewConfig)
    regularise: RegulariseConfig = field(default_factory=RegulariseConfig)


def _distorted(**shares: float) -> Variant:
    return Variant(ViewConfig(distort=DistortConfig(**shares)))


VARIANTS: Mapping[str, Variant] = {
    "base": Variant(),
    "recompose": _distorted(recompose=0.5),
    "shuffle": _distorted(shuffle=0.5),
    "warp": _distorted(warp=0.7),
    "restyle": _distorted(restyle=0.5),
    "resample": _distorted(resample=0.5),
    "all but restyle": _distorted(recompose=0.3, shuffle=0.15, warp=0.3, resample=0.3),
    "strong jitter": Variant(_STRONG),
    "no jitter": Variant(replace(ViewConfig(), jitter_probability=0.0, grey_probability=0.0)),
    "small crops": Variant(replace(ViewConfig(), scale=(0.08, 1.0))),
    "mix": Variant(GENERATIVE),
    "infomax": Variant(regularise=RegulariseConfig(infomax=0.1)),
    "low rank": Variant(regularise=RegulariseConfig(low_rank=0.5)),
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
    """Train and measure what is not there yet; store every run beside the base run."""
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
    for name in ("start", *args.only):
        folder = args.out / name.replace(" ", "-")
        encoder = args.start if name == "start" else folder / "encoder"
        if name != "start":
            chosen = VARIANTS[name]
            config = TrainConfig(
                "moco",
                args.steps,
                batch=args.batch,
                learning_rate=5e-4,
                view=chosen.view,
                regularise=chosen.regularise,
            )
            train(load(args.start), images, config=config, out=folder)
        if not (folder / "ranks.json").exists():
            ranks = {source: found.tolist() for source, found in probe.ranks(encoder).items()}
            write_json(folder / "ranks.json", ranks)
    note = f"{args.steps} steps of {args.batch} from {weights_hash(load(args.start))[:16]}"
    write_json(RESULTS / "proxies.json", {"note": note, "rows": collected(probe, args.out)})


def collected(probe: Probe, out: Path) -> list[dict[str, object]]:
    """Every run that is there beside the base run: R@1, and the paired difference of log2 ranks."""
    found = {
        path.parent.name.replace("-", " "): json.loads(path.read_text())
        for path in sorted(out.glob("*/ranks.json"))
    }
    base = found.get("base", found["start"])
    rows: list[dict[str, object]] = []
    for name, ranks in found.items():
        for source, values in ranks.items():
            gap = clustered_interval(np.subtract(values, base[source]), probe.clusters(source))
            rows.append(
                {
                    "variant": name,
                    "source": source,
                    "recall": float(np.mean(np.equal(values, 0))),
                    "log2 rank": float(np.mean(values)),
                    "difference": [gap.mean, gap.low, gap.high],
                }
            )
    return rows


if __name__ == "__main__":
    main()
