"""What is said in galleries of few images, where a null knows little of its tail.

Galleries of every size are drawn several times: photographs, and among them the exemplars of a few
known pairs. They are asked for the images that were made from these, for images that were made from
others, for photographs and for generated images of unknown sources.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.evidence.bars import Bar, largest_count
from benchmarks.evidence.galleries import Asked, Builder, ask
from core.measures.retrieval import Pair
from core.values import Encoder

T = TypeVar("T")

SIZES = (24, 40, 60, 100, 200)
"""Images of the galleries."""

_DRAWS = 12  # galleries of every size
_EACH = 10  # images of every kind that each is asked for
_PLANTED = 6  # clusters of pairs whose exemplars are in a gallery
_LEVEL = 0.05
_SURE = 0.85  # confidence that galleries of every size here can state
_KNOWN = "made from images of the gallery"


def tiny_bars(
    builder: Builder,
    photos: Mapping[str, Path],
    pairs: Sequence[Pair],
    data: Path,
    encoder: Encoder,
    *,
    without: Mapping[str, Sequence[Path]],
) -> list[Bar]:
    """False attributions by size and kind, and how often what is stated with confidence is so.

    Args:
        builder: builds the galleries.
        photos: photographs of the galleries.
        pairs: generated images and their exemplars.
        data: folder of the pairs.
        encoder: the encoder.
        without: images without a source, by kind.
    """
    bars: list[Bar] = []
    for size in SIZES:
        drawn: list[dict[str, Asked]] = []
        for seed in range(_DRAWS):
            rng = np.random.default_rng([seed, size])
            inside = set(_some(sorted({pair.cluster for pair in pairs}), _PLANTED, rng))
            made = _some([pair for pair in pairs if pair.cluster in inside], _EACH, rng)
            others = _some([pair for pair in pairs if pair.cluster not in inside], _EACH, rng)
            exemplars = {name: data / name for pair in made for name in pair.exemplars}
            chosen = _some(list(photos), size - len(exemplars), rng)
            gallery = {**{name: photos[name] for name in chosen}, **exemplars}
            asked = builder.workspace(gallery, encoder)
            kinds = {_KNOWN: [data / pair.generated for pair in made]}
            kinds["made from others"] = [data / pair.generated for pair in others]
            kinds |= {kind: _some(files, _EACH, rng) for kind, files in without.items()}
            right = {_KNOWN: [pair.exemplars for pair in made]}
            drawn.append(
                {
                    kind: ask(asked, files, what=f"{kind}, {size}", right=right.get(kind, ()))
                    for kind, files in kinds.items()
                }
            )
        bars += _bars(size, drawn)
    return bars


def _some(items: Sequence[T], count: int, rng: np.random.Generator) -> list[T]:
    return [items[i] for i in rng.permutation(len(items))[:count]]


def _bars(size: int, drawn: Sequence[Mapping[str, Asked]]) -> list[Bar]:
    """Bars of all galleries of one size."""
    p_values = {k: np.concatenate([each[k].p_values for each in drawn]) for k in drawn[0]}
    sure = {k: np.concatenate([each[k].confidences for each in drawn]) for k in drawn[0]}
    right = np.concatenate([each[_KNOWN].right for each in drawn]) > 0
    traced = float(np.mean((p_values[_KNOWN] <= _LEVEL) & right))
    gallery = f"{size} images"
    bars = [
        Bar("t", f"{_KNOWN}, traced at 5 %", f"{traced:.2f} of {len(right)}", "", True, gallery)
    ]
    for kind in set(p_values) - {_KNOWN}:
        count, trials = int((p_values[kind] <= _LEVEL).sum()), len(p_values[kind])
        most = largest_count(trials, _LEVEL)
        text = f"{count} of {trials}"
        bars.append(Bar("t", f"{kind}, at 5 %", text, f"<= {most}", count <= most, gallery))
    unknown = np.concatenate([sure[kind] for kind in sure if kind != _KNOWN])
    stated = np.concatenate([sure[_KNOWN], unknown])
    true = np.concatenate([right, np.zeros(len(unknown), bool)])
    weight = np.repeat([1 / len(right), 1 / len(unknown)], [len(right), len(unknown)])
    high = stated >= _SURE
    said, held = (float(np.average(v[high], weights=weight[high])) for v in (stated, true))
    text = f"{held:.3f} right, {said:.3f} stated, highest {stated.max():.3f}"
    holds = held >= said - 0.02
    bars.append(Bar("t", f"stated at {_SURE} or more", text, "as stated, less .02", holds, gallery))
    return bars
