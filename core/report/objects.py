"""Answers and evidence reports as JSON; docs/cli.md has the schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import numpy as np

from core.evidence import outcomes, words
from core.measures.dimensions import Dimensions
from core.report.cases import MEANING, Case, Run, versions
from core.search.patches import strongest_links
from core.service.reverse import Finding
from core.values import Answer, Contribution, Explanation, Grid, ImageRecord, RegionMatch, ScorePart


def answer_object(
    query: str,
    answer: Answer,
    *,
    p_adjusted: float | None = None,
    shares: Mapping[str, Mapping[str, float]] | None = None,
    score_parts: Mapping[int, Sequence[ScorePart]] | None = None,
) -> dict[str, object]:
    """An answer as the JSON object of ``attribute --json``; docs/cli.md has its schema."""
    parts = score_parts or {}
    return {
        "query": query,
        "answer": outcomes.sentence(answer),
        "notes": list(answer.notes),
        "matches": [
            {
                "id": match.image.id,
                "path": match.image.path,
                "there": not match.image.gone,
                "score": match.score,
                "points": words.points(match, answer),
                "cosine": match.cosine,
                "group": match.group,
            }
            for match in answer.matches
        ],
        "groups": [
            {
                "id": group.id,
                "members": list(group.members),
                "best": group.best.image.id,
                "p_value": group.p_value,
                "confidence": group.confidence,
                "influence": group.influence,
                "strength": group.strength,
                "aspects": {aspect.name: aspect.p_value for aspect in group.aspects},
                **({"score_parts": _parts(parts[group.id])} if group.id in parts else {}),
            }
            for group in answer.groups
        ],
        "none": answer.none,
        "scope": None if answer.scope is None else vars(answer.scope),
        "surroundings": None if answer.surroundings is None else vars(answer.surroundings),
        "roles": None if answer.roles is None else dict(vars(answer.roles)),
        "p_value": answer.p_value,
        "named": answer.named,
        "identical": answer.identical,
        "lead_p_value": answer.lead_p_value,
        "prior": answer.prior,
        "null": answer.null_id,
        "encoder": answer.encoder,
        "head": answer.head,
        "gallery": answer.gallery,
        **({} if p_adjusted is None else {"p_adjusted": p_adjusted}),
        **({} if shares is None else {"shares": {k: dict(v) for k, v in shares.items()}}),
    }


def finding_object(finding: Finding) -> dict[str, object]:
    """A pair as the JSON object of ``reverse --json``; docs/cli.md has its schema."""
    aspects = {aspect.name: aspect.p_value for aspect in finding.aspects}
    return {**vars(finding), "aspects": aspects}


def report_json(cases: Sequence[Case], run: Run) -> str:
    """A report for machines, in ASCII; docs/cli.md has its schema."""
    value = {
        "report": 1,
        "time": run.time,
        "command": run.command,
        "versions": versions(),
        "settings": dict(run.settings),
        "meaning": MEANING,
        "queries": [_case_object(case) for case in cases],
        "refused": [{"query": name, "error": why} for name, why in run.refused.items()],
    }
    return json.dumps(value, indent=2) + "\n"


def _case_object(case: Case) -> dict[str, object]:
    return {
        **answer_object(
            case.query,
            case.answer,
            p_adjusted=case.p_adjusted,
            shares=case.shares,
            score_parts=case.score_parts,
        ),
        "sha256": case.sha256,
        "images": [_record_object(match.image) for match in case.answer.matches],
        "explanations": [
            _explanation_object(found, case.dimensions) for found in case.explanations
        ],
    }


def _record_object(record: ImageRecord) -> dict[str, object]:
    return {**vars(record), "extra": dict(record.extra)}


def _explanation_object(explanation: Explanation, judged: Dimensions | None) -> dict[str, object]:
    return {
        "image": explanation.match.id,
        "cosine": explanation.cosine,
        "score_parts": _parts(explanation.score_parts),
        "dimensions": [_part_object(part, judged) for part in explanation.contributions],
        "regions": None if explanation.regions is None else _regions_object(explanation.regions),
    }


def _parts(parts: Sequence[ScorePart]) -> list[dict[str, object]]:
    return [dict(vars(part)) for part in parts]


def _part_object(part: Contribution, judged: Dimensions | None) -> dict[str, object]:
    if judged is None:
        return dict(vars(part))
    followed = judged.followed(part.dimension)
    return {
        **vars(part),
        "stability": float(judged.similarity[part.dimension]),
        "stable": bool(judged.stable[part.dimension]),
        "follows": None if followed is None else followed[0],
    }


def _regions_object(regions: RegionMatch) -> dict[str, object]:
    return {
        "query_heat": _rows(regions.query_heat, regions.query_grid),
        "source_heat": _rows(regions.source_heat, regions.source_grid),
        "links": [vars(link) for link in strongest_links(regions)],
    }


def _rows(heat: np.ndarray, grid: Grid) -> list[list[float]]:
    return heat.reshape(grid.rows, grid.columns).astype(float).tolist()
