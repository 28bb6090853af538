"""Evidence reports for people: one HTML file that needs no other; and reports as files.

The page asks the network for nothing, and whatever comes from a gallery's metadata stands in it as
plain text.
"""

from __future__ import annotations

import base64
import functools
import html
import io
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from string import Template
from urllib.parse import urlsplit

import numpy as np
from PIL import Image

from core.evidence import words
from core.images.files import ASSETS, write_bytes
from core.measures.dimensions import Dimensions
from core.report.report import (
    MEANING,
    Case,
    Run,
    report_csv,
    report_json,
    versions,
)
from core.search.patches import strongest_links
from core.values import (
    Answer,
    Contribution,
    Explanation,
    Grid,
    Group,
    ImageRecord,
    RegionMatch,
    WellspringError,
)

_TEMPLATES = ASSETS / "report"
_LEADING = 3  # groups shown whatever their influence
_SHOWN_SIDE = 320  # longer side of an embedded image, pixels
_PANEL = 260  # height of an image in a figure, units of the figure
_GAP = 48  # between the two images of a figure
_ASPECTS = (0.5, 1.8)  # narrowest and widest panel, width over height
_DIMENSIONS = 8  # contributions shown
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


class _Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def report_html(cases: Sequence[Case], run: Run) -> str:
    """A report for people: one file that needs no other and asks the network for nothing."""
    facts = {**versions(), **run.settings}
    return _fill(
        "report",
        style=_Html((_TEMPLATES / "report.css").read_text(encoding="utf-8")),
        time=run.time,
        cases=_joined(_case_html(case) for case in cases),
        meaning=MEANING,
        command=run.command,
        facts=_facts(facts),
    )


def _case_html(case: Case) -> _Html:
    answer = case.answer
    identities = {
        "SHA-256 of the query": case.sha256,
        "Encoder": answer.encoder,
        "Head": answer.head,
        "Gallery": answer.gallery,
        "Null": answer.null_id,
    }
    evidence = {
        "p-value": words.number(answer.p_value, ".6g"),
        "Adjusted p": words.number(case.p_adjusted, ".6g"),
        "None of these": _share(answer.none),
    }
    numbers = {
        **{name: value for name, value in evidence.items() if value},
        "Prior": f"{answer.prior:g}",
        "Named": "yes" if answer.named else f"no: {_unnamed(answer)}",
    }
    return _fill(
        "case",
        query=case.query,
        answer=words.sentence(answer),
        odds=words.odds(answer),
        numbers=_facts(numbers),
        shares=_joined(
            _shares_html(column, case) for column in case.shares if answer.none is not None
        ),
        groups=_joined(_group_html(group) for group in answer.groups if _shown(group, answer)),
        figures=_joined(_figure_html(case, found) for found in case.explanations),
        matches=_joined(_match_html(case, rank) for rank in range(len(answer.matches))),
        identities=_facts(identities),
    )


def _unnamed(answer: Answer) -> str:
    """Why an answer names no source."""
    if words.outcome(answer) == "one of":
        return "the runner-up is too near"
    return "too few different images" if answer.p_value is None else "nothing stands out"


def _shown(group: Group, answer: Answer) -> bool:
    return bool(group.influence) or group in answer.groups[:_LEADING]


def _group_html(group: Group) -> _Html:
    record = group.best.image
    return _fill(
        "group",
        name=_name(record),
        creator=record.creator or "not stated",
        licence=record.licence or "not stated",
        link=_link(record.url),
        copies=str(len(group.members)),
        p=words.number(group.p_value, ".6g"),
        confidence=_share(group.confidence),
        influence=_share(group.influence),
    )


def _shares_html(column: str, case: Case) -> _Html:
    sums = {value or "not stated": _share(part) for value, part in case.shares[column].items()}
    none = {"none of these": _share(case.answer.none)}
    return _fill("shares", column=column, facts=_facts({**sums, **none}))


def _match_html(case: Case, rank: int) -> _Html:
    match = case.answer.matches[rank]
    return _fill(
        "match",
        rank=str(rank + 1),
        id=str(match.image.id),
        path=match.image.path,
        sha256=match.image.sha256,
        score=_number(match.score),
        cosine=_number(match.cosine),
        group=str(match.group),
    )


def _figure_html(case: Case, explanation: Explanation) -> _Html:
    record, regions = explanation.match, explanation.regions
    parts = explanation.contributions[:_DIMENSIONS]
    drawing = "" if regions is None else _drawing(case, record, regions)
    return _fill(
        "figure",
        drawing=_Html(drawing),
        name=_name(record),
        cosine=_number(explanation.cosine),
        dimensions=", ".join(_part(part, case.dimensions) for part in parts),
    )


def _part(part: Contribution, judged: Dimensions | None) -> str:
    note = "" if judged is None else judged.note(part.dimension)
    return f"{part.dimension}: {part.value:+.6f}" + (f" ({note})" if note else "")


def _drawing(case: Case, record: ImageRecord, regions: RegionMatch) -> _Html:
    """Query and source side by side, with the evidence laid on both and the strongest links."""
    source = case.sources.get(record.id)
    left, right = _panel_width(case.image), _panel_width(source)
    offset = left + _GAP
    links = [
        _fill(
            "link",
            x1=_unit(link.query[0] * left),
            y1=_unit(link.query[1] * _PANEL),
            x2=_unit(offset + link.source[0] * right),
            y2=_unit(link.source[1] * _PANEL),
            strength=_unit(0.3 + 0.7 * link.strength),
        )
        for link in strongest_links(regions)
    ]
    return _fill(
        "drawing",
        width=_unit(offset + right),
        height=str(_PANEL),
        query=_panel(case.image, regions.query_heat, regions.query_grid, x=0.0, width=left),
        source=_panel(source, regions.source_heat, regions.source_grid, x=offset, width=right),
        links=_joined(links),
        alt=f"Matching regions of the query and of {_name(record)}",
    )


def _panel_width(image: Image.Image | None) -> float:
    aspect = 1.0 if image is None else image.width / image.height
    return _PANEL * min(max(aspect, _ASPECTS[0]), _ASPECTS[1])


def _panel(
    image: Image.Image | None, heat: np.ndarray, grid: Grid, *, x: float, width: float
) -> _Html:
    """An image, or an empty frame, under its heat."""
    high, wide = _PANEL / grid.rows, width / grid.columns
    level = heat / max(float(heat.max(initial=0)), 1e-12)
    cells = [
        _fill(
            "cell",
            x=_unit(x + (patch % grid.columns) * wide),
            y=_unit((patch // grid.columns) * high),
            width=_unit(wide),
            height=_unit(high),
            opacity=_unit(0.5 * level[patch]),
        )
        for patch in np.flatnonzero(level > 0).tolist()
    ]
    picture = _Html("") if image is None else _Html(f'href="{_data_uri(image)}"')
    return _fill(
        "panel",
        x=_unit(x),
        width=_unit(width),
        height=str(_PANEL),
        picture=picture,
        cells=_joined(cells),
    )


def _data_uri(image: Image.Image) -> str:
    small = image.convert("RGB")
    small.thumbnail((_SHOWN_SIDE, _SHOWN_SIDE))
    file = io.BytesIO()
    small.save(file, "JPEG", quality=85)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"


def _facts(facts: Mapping[str, str]) -> _Html:
    return _joined(_fill("fact", name=name, value=value) for name, value in facts.items())


def _name(record: ImageRecord) -> str:
    return record.title or record.path


def _link(url: str) -> _Html:
    """A link to a web page; any other address is plain text."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return _escaped(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return _escaped(url)
    return _fill("anchor", url=url)


def _number(value: float) -> str:
    return f"{value:.6g}"


def _share(value: float | None) -> str:
    return "" if value is None else f"{100 * value:.4f} %"


def _unit(value: float) -> str:
    return f"{value:.2f}"


def _joined(parts: Iterable[str]) -> _Html:
    return _Html("".join(parts))


def _escaped(text: str) -> _Html:
    """Text as HTML, without the characters that could reorder or hide what stands around it."""
    return _Html(html.escape(_CONTROL.sub("\ufffd", text)))


def _fill(template: str, **values: str) -> _Html:
    """A template with its places filled; what is not HTML already is escaped."""
    safe = {k: v if isinstance(v, _Html) else _escaped(v) for k, v in values.items()}
    return _Html(_template(template).substitute(safe))


@functools.cache
def _template(name: str) -> Template:
    return Template((_TEMPLATES / f"{name}.html").read_text(encoding="utf-8"))


KINDS: Mapping[str, Callable[[Sequence[Case], Run], str]] = {
    ".html": report_html,
    ".json": report_json,
    ".csv": report_csv,
}
"""What writes a report, by the ending of its file."""


def write_report(path: Path, cases: Sequence[Case], run: Run) -> None:
    """Write a report of the kind that the file's ending names, whole or not at all.

    Raises:
        WellspringError: when there is no such kind.
    """
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise WellspringError(f"a report ends in {', '.join(KINDS)}; {path.name!r} does not")
    write_bytes(path, kind(cases, run).encode("utf-8", errors="replace"))
