"""Answers of the public endpoints, as JSON objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

import numpy as np

from core.report import answer_object, trial_object
from core.service import (
    Contrast,
    Disentanglement,
    Estimate,
    Placed,
    Stage,
    Trial,
    compare_answers,
    contrast,
)
from core.values import Answer, ScorePart


def for_clients(
    query: str,
    answer: Answer,
    *,
    shares: Mapping[str, Mapping[str, float]] | None = None,
    score_parts: Mapping[int, Sequence[ScorePart]] | None = None,
) -> dict[str, object]:
    """An answer without keys called ``path``: Gradio's clients take those for files to fetch."""
    found = answer_object(query, answer, shares=shares, score_parts=score_parts)
    matches = cast("list[dict[str, object]]", found["matches"])
    renamed = [{"file" if k == "path" else k: v for k, v in match.items()} for match in matches]
    return {**found, "matches": renamed}


def trial_for_clients(query: str, trial: Trial) -> dict[str, object]:
    """A trial as the JSON object of ``/selftest``."""
    answers = {"present": trial.present, "absent": trial.absent}
    return {
        **trial_object(query, trial),
        **{name: for_clients(query, answer) for name, answer in answers.items()},
    }


def comparison_object(query: str, first: Answer, second: Answer) -> dict[str, object]:
    """A comparison as the JSON object of ``/compare``."""
    found = compare_answers(first, second)
    overlaps = {str(depth): share for depth, share in found.overlaps.items()}
    return {
        "first": for_clients(query, first),
        "second": for_clients(query, second),
        **vars(found),
        "overlaps": overlaps,
    }


def measures_object(found: Disentanglement) -> dict[str, object]:
    """What was measured as the JSON object of ``/factors``."""
    return {
        "images": found.images,
        "examples": found.examples,
        "pairs": found.pairs,
        "measures": _contrast_objects(found.table(), ("before", "after")),
        "before": _stage_object(found.before),
        "after": _stage_object(found.after),
    }


def sides_object(stages: tuple[Stage, Stage], names: tuple[str, str]) -> dict[str, object]:
    """Two embeddings that stand side by side, as they are exported."""
    keys = ("left", "right")
    return {
        **{f"{key}_name": name for key, name in zip(keys, names, strict=True)},
        "measures": _contrast_objects(contrast(*stages), keys),
        **{key: _stage_object(stage) for key, stage in zip(keys, stages, strict=True)},
    }


def _contrast_objects(found: Sequence[Contrast], keys: tuple[str, str]) -> list[dict[str, object]]:
    """Measures with their intervals, ``null`` where there is none."""
    return [
        {
            "name": each.name,
            **dict(zip(keys, each.values, strict=True)),
            **{f"{k}_interval": _ends(i) for k, i in zip(keys, each.intervals, strict=True)},
            "change": each.change,
            **{key: getattr(each.measure, key) for key in ("title", "meaning", "better", "ideal")},
        }
        for each in found
    ]


def _ends(interval: Estimate | None) -> list[float] | None:
    return None if interval is None else [interval.low, interval.high]


def _stage_object(stage: Stage) -> dict[str, object]:
    report = stage.by_factor
    return {
        "levels": {name: level.values() for name, level in stage.levels.items()},
        "dimensions": stage.dimensions.tolist(),
        "real": _rounded(stage.real),
        "synthetic": _rounded(stage.synthetic),
        "cross": _rounded(stage.cross),
        "factors": None if report is None else list(report.factors),
        "factor_dimensions": stage.factor_dimensions.tolist(),
        "importance": _rounded(None if report is None else report.importance),
    }


def _rounded(matrix: np.ndarray | None) -> list[list[float]] | None:
    return None if matrix is None else np.round(matrix, 4).tolist()


def place_object(found: Placed) -> dict[str, object]:
    """A place on the map as the JSON object of ``/project``."""
    nearest = [
        {"id": match.image.id, "file": match.image.path, "cosine": match.cosine}
        for match in found.nearest
    ]
    return {"x": found.x, "y": found.y, "nearest": nearest}
