"""Every choice behind a ranking in one table, chosen by the tune half, with the scoring that ships.

Both sets of pairs, each among the same photographs and its own exemplars; of single-image
generators, which leave nothing to tell choices apart by, a few images of every exemplar.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from benchmarks.quality import defaults, known_pairs, stage_patches, starts, tables, wanted
from benchmarks.quality.candidates import Asked, Candidates, joined
from benchmarks.quality.heads import narrowed
from benchmarks.quality.study import Study, compared, digest, store
from core.config import PATCHES, HeadConfig, ScoreConfig, ViewConfig
from core.encoders.descriptors import PATCH_HEAD
from core.encoders.network import NetworkEncoder, levels_of
from core.heads.fit import fit_head
from core.heads.head import Head
from core.measures.retrieval import Pair

SHIPPED, REFITTED = "as it ships", "head: fitted on these photographs"
"""What ships, and its head fitted on the gallery of this measurement, as all other fits are."""

MOST = 2
"""Images of a single-image generator that are asked for every exemplar, at most."""

WEIGHTS = {
    "edges": (0.0, 0.35, 0.7, 1.4),
    "palette": (0.0, 0.5, 1.0, 1.4, 2.0),
    PATCHES: (0.0, 2.6, 5.3, 8.0, 10.6),
}
"""Weights of the grid; at 0 a view still gives candidates, and adds nothing to scores."""
TRUSTS = (0.7, 0.8, 0.9, 1.0)
"""Trusts that all views of the grid share."""
OWN_TRUSTS = (0.6, 0.7, 0.8, 0.9, 1.0)
"""Trusts of every view by itself, at the weights that ship."""

LEVEL_WEIGHTS: tuple[tuple[float, ...], ...] = (
    (1.0, 1.0, 1.0, 1.0),
    (0.25, 0.5, 1, 1),
    (0.25, 0.25, 1, 1),
    (1, 1, 0.5, 0.5),
    (1, 0.5, 1, 1),
    (0.5, 1, 1, 1),
    (0.5, 0.5, 2, 1),
    (0.5, 0.5, 1, 2),
    (0.5, 0.5, 1, 0.5),
)
ALPHAS = (0.0, 0.01, 0.1, 0.3)
DIMENSIONS = (64, 128, 512)
OWN_DIMENSIONS = {0: (24,), 1: (40,), 2: (64, 128), 3: (64, 128, 512)}
"""Dimensions of one level, all others as they ship."""
NUMBERS = (8, 16, 32, 48, 64, 112)
"""Numbers of a local descriptor, of which a network's parts have 112 at most."""

_MORE = 48  # numbers of a local descriptor, where several choices are made at once
_LATE = LEVEL_WEIGHTS[2]
_BEST = 8  # points of the grid that are shown by either order
_NOTHING = 1e-9  # weight of a level that is left out
_WIDEST = 512


def measure(study: Study) -> None:
    """Rank all pairs under every choice; store means and differences from what ships."""
    encoder, sizes = study.encoders[0], study.encoders[1:]
    assert isinstance(encoder, NetworkEncoder), "levels are those of a network"
    studies = (study, known_pairs.beside(study))
    asked = [Asked(each, encoder, chosen(each.pairs)) for each in studies]
    pairs = [pair for each in asked for pair in each.pairs]
    found = joined([each.under() for each in asked])
    results = {SHIPPED: found.measures(found.ranked(ScoreConfig().views))}
    results |= _under_heads(asked)
    results |= {f"input: {e.name.split(' at ')[1]} pixels": _at_size(asked, e) for e in sizes}
    results |= _in_views(asked)
    results |= _with_patches(asked, encoder, usual=spread(found))
    results |= dict(_by_levels(found, [level.name for level in levels_of(encoder)]))
    points = {name: found.measures(found.ranked(views)) for name, views in grid()}
    several = dict(_together(asked, encoder, usual=spread(found)))
    for tried, best in ((points, _BEST), (several, _BEST // 2)):
        results |= {name: tried[name] for name in pick(pairs, tried, best=best)}
    cells, gaps = compared(
        pairs,
        results,
        SHIPPED,
        groups=wanted.ROLES,
        measures=wanted.MEASURES,
        parts=(*wanted.HALVES, "both"),
    )
    gaps = [gap for gap in gaps if gap["half"] != "tune"]  # not shown
    images = studies[1].bench.size
    counts = {"points": len(points), "together": len(several), **_met(pairs, points | several)}
    store(
        "settings",
        study,
        base=SHIPPED,
        images_of_roles=images,
        grid=counts,
        cells=cells,
        differences=gaps,
    )


def chosen(pairs: Sequence[Pair]) -> list[int]:
    """Rows that are asked: of single-image generators a few of every exemplar, drawn by seed 0."""
    many = wanted.ROLES["single-image generators"]
    counts: dict[str, int] = {}
    rows: list[int] = []
    for row in np.random.default_rng(0).permutation(len(pairs)).tolist():
        pair = pairs[row]
        if many(pair):
            counts[pair.cluster] = counts.get(pair.cluster, 0) + 1
        if not many(pair) or counts[pair.cluster] <= MOST:
            rows.append(row)
    return sorted(rows)


def grid() -> Iterator[tuple[str, tuple[ViewConfig, ...]]]:
    """Weights and trusts of the views beside the embedding, by name."""
    names = list(WEIGHTS)
    for weights, trust in product(product(*WEIGHTS.values()), TRUSTS):
        views = map(ViewConfig, names, weights, [trust] * len(names))
        told = ", ".join(f"{n} {w:g}" for n, w in zip(names, weights, strict=True))
        yield f"grid: {told}; trust {trust:g}", tuple(views)
    weights = [how.weight for how in ScoreConfig().views]
    for trusts in product(OWN_TRUSTS, repeat=len(names)):
        views = map(ViewConfig, names, weights, trusts)
        told = ", ".join(f"{n} {t:g}" for n, t in zip(names, trusts, strict=True))
        yield f"grid: weights that ship; trusts {told}", tuple(views)


def pick(pairs: Sequence[Pair], points: Mapping[str, np.ndarray], *, best: int) -> list[str]:
    """The best points by the worst role, by the bars that are met, and by every bar.

    All of the tune half.
    """
    means = {name: wanted.means_of(pairs, values) for name, values in points.items()}

    def merit(name: str) -> tuple[float, float]:
        return wanted.merit(means[name])

    def met(name: str) -> tuple[int, tuple[float, float]]:
        return -len(wanted.missed(means[name], "tune")), merit(name)

    picked = sorted(means, key=merit, reverse=True)[:best]
    picked += sorted(means, key=met, reverse=True)[:best]
    for key in wanted.BARS:
        picked.append(max(means, key=lambda name: (means[name]["tune", *key], merit(name))))
    return tables.ordered(picked)


def _met(pairs: Sequence[Pair], points: Mapping[str, np.ndarray]) -> dict[str, Any]:
    """Fewest bars that any point misses, by half."""
    means = [wanted.means_of(pairs, values) for values in points.values()]
    return {
        f"fewest missed, {half}": min(len(wanted.missed(each, half)) for each in means)
        for half in (*wanted.HALVES, "both")
    }


def _under_heads(asked: Sequence[Asked]) -> dict[str, np.ndarray]:
    """Measures under other heads: stages, their weights, dimensions and shrinkage."""
    made = [heads(each) for each in asked]
    results: dict[str, np.ndarray] = {}
    for name in made[0]:
        found = joined([a.under(own[name]()) for a, own in zip(asked, made, strict=True)])
        results[name] = found.measures(found.ranked(ScoreConfig().views))
    return results


def heads(asked: Asked) -> dict[str, Callable[[], Head]]:
    """How every head is made, by what is special."""
    real = asked.study.gallery_features(asked.encoder)[: len(asked.study.bench.others)]
    levels, shipped = levels_of(asked.encoder), asked.head
    names = [level.name for level in levels]
    widest = {
        alpha: fit_head(real, config=HeadConfig(k=_WIDEST, shrinkage=alpha), levels=levels)
        for alpha in (None, *ALPHAS)
    }
    return {
        **_other_weights(shipped, names),
        "stages: whitened together": lambda: fit_head(real, config=HeadConfig(k=_WIDEST)),
        **_other_fits(widest, names, k=shipped.config.k),
    }


def _other_weights(shipped: Head, names: Sequence[str]) -> dict[str, Callable[[], Head]]:
    """The head that ships with some levels left out, or weighed in another way."""
    options: dict[str, Sequence[float]] = {}
    for i, name in enumerate(names):
        pairs = [*enumerate(shipped.weights)]
        options[f"stages: without {name}"] = [_NOTHING if j == i else w for j, w in pairs]
        options[f"stages: {name} alone"] = [w if j == i else _NOTHING for j, w in pairs]
    for weights in LEVEL_WEIGHTS:
        options[f"level weights: {', '.join(f'{w:g}' for w in weights)}"] = weights
    return {
        name: lambda weights=weights: replace(shipped, weights=tuple(weights))
        for name, weights in options.items()
    }


def _other_fits(
    widest: Mapping[float | None, Head], names: Sequence[str], *, k: int
) -> dict[str, Callable[[], Head]]:
    """Heads of other dimensions and shrinkage, of all levels or of one alone.

    Args:
        widest: a head of most dimensions for every shrinkage; ``None`` as it ships.
        names: names of the levels.
        k: dimensions of a level that ship, at most.
    """
    usual, every = narrowed(widest[None], k), [*range(len(names))]
    made: dict[str, tuple[Head, list[int]]] = {REFITTED: (usual, every)}
    for count in DIMENSIONS:
        made[f"k: {count} of every level"] = narrowed(widest[None], count), every
    for level, counts in OWN_DIMENSIONS.items():
        for count in counts:
            made[f"k: {count} of {names[level]}"] = narrowed(widest[None], count), [level]
    for alpha in ALPHAS:
        made[f"shrinkage: {alpha:g} of every level"] = narrowed(widest[alpha], k), every
        for level in every:
            name = f"shrinkage: {alpha:g} of {names[level]}"
            made[name] = narrowed(widest[alpha], k), [level]

    def mixed(other: Head, levels: Sequence[int]) -> Head:
        pairs = enumerate(zip(usual.parts, other.parts, strict=True))
        return replace(usual, parts=tuple(new if i in levels else old for i, (old, new) in pairs))

    return {name: lambda how=how: mixed(*how) for name, how in made.items()}


def _at_size(asked: Sequence[Asked], encoder: Any) -> np.ndarray:
    """Measures of the same network at another size of its input, with a head of its own."""
    columns = [defaults.column(each.study, encoder, ScoreConfig())[each.rows] for each in asked]
    return np.concatenate(columns)


def _in_views(asked: Sequence[Asked]) -> dict[str, np.ndarray]:
    """Measures where the query's embedding is the mean over its views; all else sees the whole."""
    results: dict[str, np.ndarray] = {}
    for name in starts.VIEWS:
        parts: list[Candidates] = []
        for each in asked:
            own = (each.study, each.encoder, each.head)
            parts.append(each.under(embeddings=starts.in_views(*own, name, rows=each.rows)))
        found = joined(parts)
        results[f"query: {name}"] = found.measures(found.ranked(ScoreConfig().views))
    return results


def _with_patches(
    asked: Sequence[Asked], encoder: NetworkEncoder, *, usual: float
) -> dict[str, np.ndarray]:
    """Measures with local descriptors of other stages and other numbers.

    Fewer numbers agree by chance more often, so that their weight goes with their scores' spread.
    """
    stage, numbers = encoder.backbone.config.patch_stage, PATCH_HEAD.k
    options = {
        f"patches: {level.name}, {numbers} numbers": (i, numbers)
        for i, level in enumerate(encoder.levels)
    }
    shown = encoder.levels[stage].name
    options |= {f"patches: {shown}, {count} numbers": (stage, count) for count in NUMBERS}
    results: dict[str, np.ndarray] = {}
    for name, (place, count) in options.items():
        found = _patched(asked, encoder, place, count)
        results[name] = found.measures(found.ranked(weighed(spread(found), usual=usual)))
    return results


def _patched(
    asked: Sequence[Asked],
    encoder: NetworkEncoder,
    stage: int,
    count: int,
    *,
    weights: Sequence[float] = (),
) -> Candidates:
    """Candidates with local descriptors of a stage, and perhaps other weights of the levels."""
    parts: list[Candidates] = []
    for each in asked:
        gallery, made = _stage_rows(each, encoder, stage)
        patches = stage_patches.described(gallery, count), stage_patches.described(made, count)
        head = replace(each.head, weights=tuple(weights)) if weights else None
        parts.append(each.under(head, patches=patches))
    return joined(parts)


def weighed(spread: float, *, usual: float, factor: float = 1.0) -> list[ViewConfig]:
    """The views that ship; descriptors weigh so much that their scores spread as usual."""
    scale = factor * usual / spread
    return [
        replace(how, weight=how.weight * scale) if how.name == PATCHES else how
        for how in ScoreConfig().views
    ]


def _together(
    asked: Sequence[Asked], encoder: NetworkEncoder, *, usual: float
) -> Iterator[tuple[str, np.ndarray]]:
    """Measures where several choices that help by themselves are made at once."""
    stage, count = encoder.backbone.config.patch_stage, _MORE
    trust, level = ScoreConfig().views[0].trust, encoder.levels[stage].name
    for weights in ((), _LATE):
        found = _patched(asked, encoder, stage, count, weights=weights)
        own = found.levels[:, :, stage]
        whole = replace(found, beside={**found.beside, level: own})
        scales = product((1.0, 1.5, 2.0), (1.0, 1.4), (0.8, 1.0), (0.0, 3.0, 6.0))
        for factor, palette, trusted, more in scales:
            views = [
                ViewConfig("palette", palette, trusted) if how.name == "palette" else how
                for how in weighed(spread(found), usual=usual, factor=factor)
            ]
            told = f"{count} numbers, {factor:g} times; palette {palette:g}, trust {trusted:g}"
            told += f"; levels {', '.join(f'{w:g}' for w in weights)}" if weights else ""
            if more:
                views.append(ViewConfig(level, more, trust))
                told += f"; by {level} too, {more:g}"
            yield f"together: {told}", whole.measures(whole.ranked(views))


def _stage_rows(asked: Asked, encoder: NetworkEncoder, stage: int) -> tuple[np.ndarray, np.ndarray]:
    """Patch features of the gallery and of the images that are asked, at one stage."""
    study = asked.study
    every = [study.bench.folder / name for name in dict.fromkeys(p.generated for p in study.pairs)]
    paths = [*study.gallery_paths, *every]
    name = f"stage-patches-{stage_patches.MOST}-{digest(*study.images)}"
    rows = stage_patches.kept(study, encoder, name, paths)
    count = len(study.gallery_paths)
    place = {path: row for row, path in enumerate(every, count)}
    return rows[stage][:count], rows[stage][[place[path] for path in asked.made]]


def spread(found: Candidates) -> float:
    """Standard deviation of how well places match, over all candidates of all queries."""
    return float(found.beside[PATCHES][np.isfinite(found.plain)].std())


def _by_levels(found: Candidates, names: Sequence[str]) -> Iterator[tuple[str, np.ndarray]]:
    """Measures where a source may stand out by a level too, as by edges, palette and patches."""
    beside = {name: found.levels[:, :, i] for i, name in enumerate(names)}
    whole = replace(found, beside={**found.beside, **beside})
    for weight in (1.0, 3.0):
        own = {name: ViewConfig(name, weight, ScoreConfig().views[0].trust) for name in names}
        for name in names:
            scores = whole.ranked([*ScoreConfig().views, own[name]])
            yield f"stands out too: by {name}, {weight:g}", found.measures(scores)
        scores = whole.ranked([*ScoreConfig().views, *own.values()])
        yield f"stands out too: by any level, {weight:g}", found.measures(scores)


def section(found: Mapping[str, Any], *_: object) -> list[str]:
    """What the page of results says of all choices."""
    columns = wanted.by_column(found["cells"])
    grid = found["grid"]
    fewest = ", ".join(f"{half} {grid[f'fewest missed, {half}']}" for half in wanted.HALVES)
    return [
        "## Every choice in one table",
        "`python -m benchmarks.quality --measure settings --photos 2500`. One choice changed at a "
        "time; all else ships: levels, edges, palette and patches, each candidate scored by the "
        "larger of leads. Heads of other dimensions and shrinkage are fitted on the photographs of "
        f"this gallery: compare them with `{REFITTED}`. `input` rows have a head of 512 dimensions "
        "a level, fitted there. `query` rows add the embeddings of a mirrored view or of five "
        "crops to that of the whole. `patches` rows weigh descriptors so that their scores spread "
        "as those that ship. `stands out too` lets a source lead by one level more, at so many "
        f"times its share. `together` rows make several choices at once: more numbers of a "
        "descriptor and a larger weight of them, the palette's weight and trust, less weight of "
        f"early levels, a lead by parts. Of {grid['points']} points of the grid and "
        f"{grid['together']} of these, shown are those with the best worst role, with the most "
        "bars met, and with the best value for every bar, all by the tune half. "
        f"Fewest bars missed by any point of {len(wanted.BARS)}: {fewest}. Of "
        f"single-image generators {MOST} images of every exemplar at most are asked. Either set "
        f"of pairs is asked among {found['gallery_images']:,} or, with roles, "
        f"{found['images_of_roles']:,} images. Each role counts once in a mean; the worst is the "
        "role of the lowest R@1 or R@10.",
        wanted.summary(columns, shipped=found["base"]),
        "### Bars that are missed",
        "By what ships, on the untouched half or over both, and the best attempts of different "
        "kinds: of each kind the one that is best on the tune half. What it costs are all roles "
        "with fewer found, R@1 over both halves, paired.",
        *_attempts(found, columns),
    ]


def _attempts(found: Mapping[str, Any], columns: Mapping[str, wanted.Means]) -> list[str]:
    """A table for every bar that what ships misses."""
    base = columns[found["base"]]
    gaps = tables.by_key(found["differences"])
    parts: list[str] = []
    for (role, measure), bar in wanted.BARS.items():
        if min(base[half, role, measure] for half in ("untouched", "both")) >= bar - 5e-4:
            continue
        rows = [["", "tune", "untouched", "both", "difference, both", "what it costs"]]
        own = [tables.short(base[half, role, measure]) for half in (*wanted.HALVES, "both")]
        rows.append([f"**{found['base']}**", *own, "", ""])
        for name in _best(columns, role, measure)[:5]:
            values = [
                tables.short(columns[name][half, role, measure])
                for half in (*wanted.HALVES, "both")
            ]
            gap = tables.interval(gaps["both", role, name, measure], signed=True)
            rows.append([name, *values, gap, _costs(gaps, name)])
        parts += [
            f"**{role}, {measure}: {tables.short(bar)} is wanted, "
            f"{tables.short(base['untouched', role, measure])} found on the untouched half.**",
            tables.markdown(rows),
        ]
    return parts


def _best(columns: Mapping[str, wanted.Means], role: str, measure: str) -> list[str]:
    """The best attempt of every kind on the tune half, the best kind first."""
    kinds: dict[str, list[str]] = {}
    for name in columns:
        if ": " in name and name != REFITTED:
            kinds.setdefault(name.split(": ")[0], []).append(name)

    def order(name: str) -> tuple[float, tuple[float, float]]:
        return columns[name]["tune", role, measure], wanted.merit(columns[name])

    best = [max(names, key=order) for names in kinds.values()]
    return sorted(best, key=order, reverse=True)


def _costs(gaps: Mapping[tables.Key, tables.Cell], name: str) -> str:
    """Roles of which fewer are found."""
    found = [(role, gaps["both", role, name, "R@1"]) for role in wanted.ROLES]
    lost = [f"{role} {tables.interval(gap, signed=True)}" for role, gap in found if gap["mean"] < 0]
    return "; ".join(lost) or "nothing"
