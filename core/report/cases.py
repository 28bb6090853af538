"""One query with its answer and its reasons, and how the answer was made: what reports hold."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import platform
import shlex
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

from PIL import Image

from core.config import ScoreConfig
from core.evidence import conclusion
from core.images.files import file_digest
from core.measures.dimensions import Dimensions
from core.service.choice import Choice
from core.service.session import Session
from core.service.workspace import Workspace
from core.values import Answer, Explanation, GalleryError, Progress, ScorePart, no_progress

MEANING = (
    "This report compares an image with one gallery, under one encoder. A candidate source is an "
    "image of the gallery that the query resembles more than images without a source there usually "
    "do. The p-value says how often an image whose source is not in the gallery stands out at "
    "least as far; it rests on the null distribution named here and promises nothing for images of "
    "other kinds than those it was fitted on. The confidence is the probability of a source at the "
    "stated prior; the shares of influence split the query over groups of the gallery and none of "
    "these. None of these numbers shows that a model was trained on an image, that an image was "
    "used on purpose, or that a right was infringed; and a source outside the gallery cannot be "
    "found. Creators, licences and links are as the gallery's metadata states them and were not "
    "checked."
)
"""What a report does and does not show."""

_ROOT = Path(__file__).parents[2]
_LIBRARIES = ("faiss-cpu", "numpy", "pillow", "scipy", "timm", "torch")
_EXPLAINED = 3  # sources shown with their regions


@dataclass(frozen=True)
class Case:
    """One query with its answer and the reasons for it."""

    query: str
    """The query as it was named."""
    sha256: str
    """Hash of the query's file; of its RGB pixels, row by row, where there was no file."""
    answer: Answer
    explanations: tuple[Explanation, ...] = ()
    """Of the candidate sources whose regions are shown."""
    image: Image.Image | None = None
    """Pixels of the query; without them figures have empty frames."""
    sources: Mapping[int, Image.Image] = field(default_factory=dict[int, Image.Image])
    """Pixels of gallery images by their ids."""
    p_adjusted: float | None = None
    """The p-value adjusted for the number of queries, where there were several."""
    shares: Mapping[str, Mapping[str, float]] = field(
        default_factory=dict[str, Mapping[str, float]]
    )
    """Influence summed by the values of columns: column, then value."""
    score_parts: Mapping[int, Sequence[ScorePart]] = field(
        default_factory=dict[int, Sequence[ScorePart]]
    )
    """What makes the score of every group that the answer tells of."""
    dimensions: Dimensions | None = None
    """Stability of the dimensions and the factors that they follow, where both were measured."""


@dataclass(frozen=True)
class Run:
    """How the answers of a report were made."""

    command: str
    """The command that gives the same answers, to six digits."""
    time: str
    """When they were made, ISO 8601 with its time zone."""
    settings: Mapping[str, str] = field(default_factory=dict[str, str])
    """Settings that the answers depend on, such as the prior."""
    refused: Mapping[str, str] = field(default_factory=dict[str, str])
    """Images that could not be taken, and why."""

    @property
    def told_time(self) -> str:
        """The time for people, with its zone."""
        made = datetime.fromisoformat(self.time)
        return f"{made.day} {made:%B %Y, %H:%M} {made.tzname()}"


def case_of(
    session: Session,
    source: Image.Image | bytes | str | Path,
    *,
    answer: Answer,
    choice: Choice,
    visitor: str = "",
    progress: Progress = no_progress,
) -> Case:
    """An answer with the reasons for its first candidate sources and the images to show.

    Args:
        session: the session that gave the answer.
        source: the query.
        answer: the answer.
        choice: encoder, head, gallery and scoring of the answer.
        visitor: the visitor who may own the gallery.
        progress: called while what is missing is computed; may raise ``Cancelled``.

    Raises:
        WellspringError: as :meth:`Session.explain`.
    """
    workspace = session.workspace(choice, visitor=visitor, progress=progress)
    query = session.query(workspace, source)
    sources: dict[int, Image.Image] = {}
    for i in _explained(answer):
        with contextlib.suppress(GalleryError):  # nothing of it can be read: nothing to show
            sources[i] = session.source_image(workspace.gallery, i)
    return Case(
        query=str(source) if isinstance(source, str | Path) else "image",
        sha256=query.sha256 or query_digest(source),
        answer=answer,
        explanations=tuple(
            session.explain(source, i, choice, visitor=visitor, progress=progress) for i in sources
        ),
        image=query.image,
        sources=sources,
        shares=session.shares(answer, choice, visitor=visitor),
        score_parts=session.score_parts(query, answer, choice, visitor=visitor),
        dimensions=session.dimensions(choice, visitor=visitor, progress=progress),
    )


def without_images(case: Case) -> Case:
    """The case without pixels; its figures have empty frames."""
    return replace(case, image=None, sources={})


def attribute_command(
    queries: Sequence[str], choice: Choice, *, top: int, prior: float | None = None
) -> str:
    """The command that answers the same queries, for a shell."""
    score = choice.score
    left_out = [v.name for v in ScoreConfig().views if score.view(v.name) is None]
    options = ["--gallery", choice.gallery, "--encoder", choice.encoder, "--head", choice.head]
    options += [text for name in left_out for text in ("--leave-out", name)]
    options += [] if score.local_scaling else ["--no-local-scaling"]
    options += [] if score.search == "auto" else ["--search", score.search]
    options += [] if prior is None else ["--prior", str(prior)]
    options += [] if choice.where is None else ["--where", choice.where]
    command = ["python", "-m", "core", "attribute", *options, "--top", str(top)]
    ends = ["--"] if any(query.startswith("-") for query in queries) else []
    return shlex.join([*command, *ends, *queries])


def run_of(workspace: Workspace, command: str, *, prior: float | None = None) -> Run:
    """Command, time and settings of a workspace's answers, at another prior if one is given."""
    settings = {**asdict(workspace.score), **asdict(workspace.null_config)}
    settings["views"] = "; ".join(
        f"{v.name}: weight {v.weight:g}, trust {v.trust:g}" for v in workspace.score.views
    )
    settings |= {name: v for name, v in asdict(workspace.answering).items() if name != "listed"}
    settings |= {} if prior is None else {"prior": prior}
    return Run(
        command=command,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
        settings={name.replace("_", " "): str(value) for name, value in settings.items()},
    )


def _explained(answer: Answer) -> list[int]:
    """Ids of the gallery images whose regions are shown: the best of the first groups."""
    shared = conclusion.told_groups(answer)
    return [group.best.image.id for group in (shared or answer.groups[:1])[:_EXPLAINED]]


def query_digest(source: Image.Image | bytes | str | Path) -> str:
    """SHA-256 of a query: of its bytes, or of its RGB pixels where it is an open image."""
    if isinstance(source, Image.Image):
        return hashlib.sha256(source.convert("RGB").tobytes()).hexdigest()
    if isinstance(source, bytes):
        return hashlib.sha256(source).hexdigest()
    return file_digest(Path(source))


@functools.cache
def versions() -> Mapping[str, str]:
    """Versions of the program and of the libraries whose arithmetic an answer depends on."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    libraries = {name: version(name) for name in _LIBRARIES}
    return {
        project["name"]: project["version"],
        "python": platform.python_version(),
        **libraries,
    }
