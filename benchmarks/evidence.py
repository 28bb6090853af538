"""What an answer's p-values, names and confidences are worth: ``python -m benchmarks.evidence``.

Every query of known origin is ranked with its source in the gallery and with it taken out. Medians
are over draws of one query per cluster: queries made from one image are not independent.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path, PurePosixPath

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from benchmarks.evidence_bars import (
    Bar,
    Judged,
    Setting,
    absent_bars,
    calibration_bars,
    power_bars,
)
from benchmarks.evidence_composites import composites
from benchmarks.evidence_plots import plot
from benchmarks.evidence_ranked import Ranked, Subset, World, kept, ranked
from core.config import NullConfig
from core.encoder import load_encoder
from core.evaluate import Bench
from core.metrics import clustered_interval
from core.shards import describe_patches

RESULTS = Path(__file__).parent / "results"
console = Console()


def main() -> None:
    """Rank, judge, print, and write the numbers and the plots."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--gallery", type=Path, default=Path("galleries/real"))
    parser.add_argument("--encoder", default="moco")
    parser.add_argument("--held-out", type=int, default=4_000, help="photos asked without source")
    parser.add_argument("--small", type=int, default=1_000, help="images of the small gallery")
    parser.add_argument("--copies", type=int, default=3, help="copies planted of every exemplar")
    parser.add_argument("--draws", type=int, default=200)
    options = parser.parse_args()
    torch.set_num_threads(1)
    data = Path(os.environ["WELLSPRING_DATA"])
    cache = Path(os.environ.get("WELLSPRING_CACHE", Path.home() / ".cache" / "wellspring"))
    encoder = load_encoder(options.encoder)
    bench = Bench(data / "pairs.json", options.gallery, [encoder], cache=cache, patch_heads={})
    place = cache / "evidence" / encoder.identity
    world = World(bench, encoder, data=data, cache=place)
    everything = np.arange(len(world.features))
    rng = np.random.default_rng(0)
    small = np.sort(rng.permutation(world.real)[: options.small])
    small = np.concatenate([small, everything[world.real :]])
    bars: list[Bar] = []
    planted = np.concatenate([small, np.repeat(everything[world.real :], options.copies)])
    for name, rows in (("all", everything), ("small", small), ("small, copies planted", planted)):
        gallery = world.subset(rows)
        setting = judge(world, gallery, data=data, place=place / name, held_out=options.held_out)
        found = report(setting, draws=options.draws)
        bars += [Bar(**{**asdict(bar), "gallery": name}) for bar in found]
        if name == "all":
            plot(setting, RESULTS)
            bars += several(world, gallery)
    RESULTS.mkdir(exist_ok=True)
    text = json.dumps([asdict(bar) for bar in bars], indent=1)
    (RESULTS / "evidence.json").write_text(text + "\n")
    show(bars)


def judge(world: World, gallery: Subset, *, data: Path, place: Path, held_out: int) -> Setting:
    """All queries ranked in a gallery."""
    rows, groups = gallery.rows, gallery.groups
    exemplar = np.flatnonzero(rows >= world.real)
    pairs = world.bench.all_pairs
    asked = np.array([world.bench.row[pair.generated] for pair in pairs])
    place_of = {name: exemplar[i] for i, name in enumerate(world.bench.exemplars)}
    right = [groups[[place_of[name] for name in pair.exemplars]] for pair in pairs]
    images = world.bench.images
    vectors = world.head(images.features(world.encoder)[asked], role="query")
    patches = images.patches(world.encoder)[asked]  # pyright: ignore[reportOptionalSubscript]

    def pairs_without(name: str, without: np.ndarray) -> Ranked:
        return kept(
            place / f"{name}.npz",
            lambda: ranked(gallery, vectors, patches, without=lambda _: without, what=name),
        )

    def without_own(i: int) -> np.ndarray:
        return np.flatnonzero(groups == groups[drawn[i]])

    drawn = _one_per_group(groups[rows < world.real], NullConfig().queries + held_out)
    own = world.head(world.features[rows[drawn]], role="query")
    real = kept(
        place / "real.npz",
        lambda: ranked(
            gallery,
            own,
            world.patches[rows[drawn]],
            without=without_own,
            what="photos",
        ),
    )
    made = world.synthetic(data / "synthetic")
    asked_made = world.head(made.features(world.encoder), role="query")
    none = np.empty(0, np.int64)
    generated = kept(
        place / "synthetic.npz",
        lambda: ranked(
            gallery,
            asked_made,
            made.patches(world.encoder),  # pyright: ignore[reportArgumentType]
            without=lambda _: none,
            what="generated images without a source",
        ),
    )
    count = len(real.scores) - min(held_out, len(real.scores) // 2)
    return Setting(
        null=real.scores[:count],
        held_out=Judged(real.scores[count:], [str(i) for i in drawn[count:]]),
        synthetic={
            kind: Judged(generated.scores[chosen], [_cluster(names[i]) for i in chosen])
            for names in ([record.path for record in made.records],)
            for kind in ("stable_diffusion", "style_transfer", "gpt4o")
            if len(chosen := np.flatnonzero([n.startswith(kind) for n in names]))
        },
        pairs=pairs,
        present=pairs_without("present", none).scores,
        right=np.array(
            [
                label in found
                for label, found in zip(
                    pairs_without("present", none).groups[:, 0], right, strict=True
                )
            ]
        ),
        absent=pairs_without("absent", exemplar).scores,
    )


def _one_per_group(groups: np.ndarray, count: int) -> np.ndarray:
    """Rows drawn at random, at most one of every group, so that no two share a near-duplicate."""
    first = np.unique(groups, return_index=True)[1]
    return np.random.default_rng(0).permutation(first)[:count]


def _cluster(path: str) -> str:
    """Artist prompt of a Stable Diffusion image, content of a style transfer, else the image."""
    folder, _, name = path.rpartition("/")
    stem = PurePosixPath(name).stem
    if folder.endswith("stable_diffusion"):
        return stem.rpartition("_")[0]
    return stem.partition("-")[0] if folder.endswith("style_transfer") else stem


def several(world: World, gallery: Subset, *, each: int = 60) -> list[Bar]:
    """Both sources among the first two groups, by kind of composite."""
    rows = np.flatnonzero(gallery.rows < world.real)
    made = composites([world.paths[gallery.rows[i]] for i in rows], each=each)
    head = world.bench.gallery.patch_head(world.encoder)
    assert head is not None
    encoded = [world.encoder.encode([composite.image]) for composite in made]
    found = ranked(
        gallery,
        world.head(np.concatenate([e.features for e in encoded]), role="query"),
        np.concatenate([describe_patches(e.patches, head) for e in encoded]),  # pyright: ignore[reportArgumentType]
        without=lambda _: np.empty(0, np.int64),
        what="composites",
    )
    label = {world.paths[gallery.rows[i]]: gallery.groups[i] for i in rows}
    both = np.array(
        [
            {label[path] for path in composite.sources} <= set(first[:2].tolist())
            for composite, first in zip(made, found.groups, strict=True)
        ]
    )
    bars: list[Bar] = []
    for kind in dict.fromkeys(composite.kind for composite in made):
        chosen = np.array([composite.kind == kind for composite in made])
        cell = clustered_interval(both[chosen].astype(float), [str(i) for i in range(chosen.sum())])
        text = f"{cell.mean:.2f} ({cell.low:.2f} to {cell.high:.2f})"
        bars.append(
            Bar("7", f"both sources in the first two groups, {kind}", text, "-", True, "all")
        )
    return bars


def report(setting: Setting, *, draws: int) -> list[Bar]:
    """Every bar of one gallery."""
    config = NullConfig()
    return [
        *absent_bars(setting, draws=draws),
        *power_bars(setting, draws=draws),
        *calibration_bars(setting, config, draws=draws),
    ]


def show(bars: Sequence[Bar]) -> None:
    """A table of the bars."""
    table = Table("gallery", "bar", "what", "found", "wanted", "holds")
    for bar in bars:
        table.add_row(bar.gallery, bar.bar, bar.what, bar.found, bar.wanted, str(bar.holds))
    console.print(table)


if __name__ == "__main__":
    main()
