"""Maps fitted to known pairs, asked of generators and sources that they never saw.

Both sets of pairs together. ``unseen generator``: fitted to the pairs of all other generators, less
those that share an exemplar with it. ``unseen sources``: fitted to the other half of the exemplars,
whatever made the images. The embedding alone with local scaling, beside the head that ships.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool, Float

from benchmarks.quality import roles, tables
from benchmarks.quality.study import Group, Study, compared, digest, ranked, store
from core.config import PAIRED_KINDS, HeadConfig, PairedKind, ScoreConfig
from core.encoders.load import shipped_heads
from core.heads.head import Head
from core.heads.paired import PairFeatures, fit_paired_head
from core.measures.retrieval import Pair
from core.values import Encoder

KEEPS = {"ridge": (0.02, 0.5), "infonce": (0.01, 0.5)}
"""Weights of staying at the identity."""

FAMILIES = {
    "ConSinGAN": "single-image GANs",
    "SinGAN": "single-image GANs",
    "GPNN (patch synthesis)": "patch synthesis",
    "Gemini 2.5 Flash Image": "Gemini edits",
    "pix2pix-zero": "edits by inversion",
    "Deep Photo Style Transfer": "photo style transfer",
    "Universal style transfer (delldu)": "style transfer",
    "Deep Painterly Harmonization": "painterly harmonisation",
    "Diffusion Handles": "edits by inversion",
    **dict.fromkeys(
        ("DDPM inversion", "DDIM inversion", "Prompt-to-Prompt", "PnP"), "edits by inversion"
    ),
    "Prompt-to-Prompt + DDPM inversion": "edits by inversion",
    **dict.fromkeys(
        ("Splice", "SpliceNet", "Kim et al.", "Swapping Autoencoder", "STROTSS", "WCT2"),
        "structure and appearance",
    ),
}
"""Kinds of generators that are left out together: of one kind, most share their exemplars."""


@dataclass(frozen=True)
class Both:
    """The two sets of pairs, each with its gallery, under one encoder."""

    studies: tuple[Study, Study]
    encoder: Encoder

    @property
    def pairs(self) -> list[Pair]:
        """The pairs of both sets."""
        return [pair for study in self.studies for pair in study.pairs]

    def features(self) -> PairFeatures:
        """Features of all pairs; one with several exemplars counts with the first."""
        made, own = [], []
        for study in self.studies:
            made.append(study.query_features(self.encoder))
            gallery = study.gallery_features(self.encoder)
            own.append(gallery[[right[0] for right in study.right]])
        pairs = self.pairs
        _, image = np.unique([pair.generated for pair in pairs], return_inverse=True)
        _, source = np.unique([pair.exemplars[0] for pair in pairs], return_inverse=True)
        return PairFeatures(np.concatenate(made), np.concatenate(own), image, source)

    def measured(self, head: Head, asked: Bool[np.ndarray, " q"]) -> Float[np.ndarray, "q 4"]:
        """Measures of the pairs that are asked, under a head; zeros for the others."""
        values, start = np.zeros((len(asked), 4)), 0
        for study in self.studies:
            rows = np.flatnonzero(asked[start : start + len(study.pairs)])
            if len(rows):
                values[start + rows] = ranked(
                    head(study.gallery_features(self.encoder), role="gallery"),
                    head(study.query_features(self.encoder)[rows], role="query"),
                    [study.right[i] for i in rows],
                    scaling=ScoreConfig().neighbours,
                    without=[study.left_out[i] for i in rows],
                )
            start += len(study.pairs)
        return values


def measure(study: Study) -> None:
    """Rank all pairs under every map; store means and differences from the head that ships."""
    both = Both((study, beside(study)), study.encoders[0])
    base = shipped_heads(both.encoder.name).embedding
    assert base is not None, "the maps stand behind the head that comes with the encoder"
    everything, name = np.ones(len(both.pairs), bool), both.encoder.name
    identities = (base.identity, *both.studies[0].images, *both.studies[1].images)
    results = {f"{name}/as it ships": both.measured(base, everything)}
    for kind in PAIRED_KINDS:
        for keep in KEEPS[kind]:
            for split, parts in splits(both.pairs).items():
                column = f"{name}/{kind}, keep {keep:g}, {split}"
                results[column] = study.kept(
                    both.encoder,
                    f"known-pairs-{digest(column, *identities)}",
                    lambda kind=kind, keep=keep, parts=parts: crossed(
                        both, base, kind, keep, parts
                    ),
                )
    groups = {**kinds(both.pairs), "all": lambda _: True}
    found, gaps = compared(
        both.pairs,
        results,
        f"{name}/as it ships",
        groups=groups,
        measures=("R@1", "R@10"),
        parts=("tune", "untouched", "both"),
    )
    fitted = [
        {"left out": family, "pairs fitted to": count, "of exemplars": exemplars}
        for family, count, exemplars in sizes(both.pairs)
    ]
    base_name, fields = f"{name}/as it ships", {"cells": found, "differences": gaps}
    images = both.studies[1].bench.size  # of the pairs with roles; the others' is stored anyway
    store("known_pairs", study, base=base_name, images_of_roles=images, fitted=fitted, **fields)


def section(found: Mapping[str, Any], _plots: Path) -> list[str]:
    """The section of the page."""
    across = tables.ordered(cell["source"] for cell in found["cells"])
    return [
        "## Maps fitted to known pairs",
        "`fit-head --pairs`: a linear map of every level behind the head that ships, which is the "
        "first row. `keep` is the weight of staying at the identity. *Unseen generator*: fitted to "
        "the pairs of all other kinds of generators, less those that share an image with the kind "
        "that is asked. *Unseen sources*: fitted to the other half of the exemplars, whatever "
        "generator made the images. The embedding alone, with local scaling. Both sets of pairs, "
        f"either among {found['gallery_images']:,} or, with roles, {found['images_of_roles']:,} "
        "images: 2,500 photographs drawn with the seed 0, and the exemplars. All pairs; batches of "
        "`infonce` are drawn with the seed 0.",
        "R@1:",
        tables.grid(found["cells"], across=across, half="both", measure="R@1"),
        "R@10:",
        tables.grid(found["cells"], across=across, half="both", measure="R@10"),
        f"Paired differences of R@1 from `{found['base']}`:",
        tables.grid(found["differences"], across=across, half="both", measure="R@1", signed=True),
        "Of R@10:",
        tables.grid(found["differences"], across=across, half="both", measure="R@10", signed=True),
        "What the map of each kind is fitted to:",
        tables.plain(found["fitted"]),
    ]


def beside(study: Study) -> Study:
    """The pairs with roles among the same photographs."""
    gallery, cache = study.bench.gallery.store.folder, study.cache.parent
    how = {"cache": cache, "progress": study.progress, "pairs": roles.PAIRS}
    return Study.open(study.data, gallery, study.encoders, **how)


def kinds(pairs: Sequence[Pair]) -> dict[str, Group]:
    """A group for every kind of generator, by role where there are roles."""

    def named(pair: Pair) -> str:
        family, role = FAMILIES[pair.generator], pair.source.partition(": ")[2]
        return f"{family}: {role}" if role else family

    return {name: lambda p, name=name: named(p) == name for name in sorted({*map(named, pairs)})}


def splits(pairs: Sequence[Pair]) -> dict[str, list[tuple[np.ndarray, np.ndarray]]]:
    """Ways to fit on some pairs and ask others: which are fitted and which asked, part by part."""
    family = np.array([FAMILIES[pair.generator] for pair in pairs])
    generators = [_apart(pairs, family == name) for name in dict.fromkeys(family.tolist())]
    half = np.array([pair.half == "tune" for pair in pairs])
    return {
        "unseen generator": generators,
        "unseen sources": [_apart(pairs, half), _apart(pairs, ~half)],
    }


def _apart(pairs: Sequence[Pair], asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs to fit on, which share no image with the asked ones, and the asked ones."""
    touched = {name for i in np.flatnonzero(asked).tolist() for name in _images(pairs[i])}
    fitted = np.array([not touched & _images(pair) for pair in pairs])
    return fitted & ~asked, asked


def _images(pair: Pair) -> set[str]:
    return {*pair.exemplars, *pair.others, pair.generated}


def crossed(
    both: Both,
    base: Head,
    kind: PairedKind,
    keep: float,
    parts: Sequence[tuple[np.ndarray, np.ndarray]],
) -> Float[np.ndarray, "q 4"]:
    """Measures of every pair under a map that was fitted without its part."""
    values, features = np.zeros((len(both.pairs), 4)), both.features()
    config = HeadConfig(kind=kind, shrinkage=keep)
    for fitted, asked in parts:
        head = fit_paired_head(base, features[np.flatnonzero(fitted)], config=config)
        values += both.measured(head, asked)
    return values


def sizes(pairs: Sequence[Pair]) -> Iterator[tuple[str, int, int]]:
    """Pairs and exemplars that the map of every kind of generator is fitted to."""
    for fitted, asked in splits(pairs)["unseen generator"]:
        name = FAMILIES[pairs[int(asked.argmax())].generator]
        chosen = [pairs[i] for i in np.flatnonzero(fitted).tolist()]
        yield name, len(chosen), len({pair.exemplars for pair in chosen})
