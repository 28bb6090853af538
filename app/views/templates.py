"""HTML from the templates in ``assets/app``.

Every value put into one is escaped unless it is :class:`Html` itself.
"""

from __future__ import annotations

import html
from functools import cache
from pathlib import Path
from string import Template

_ASSETS = Path(__file__).parents[2] / "assets" / "app"


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


def fill(template: str, **values: str) -> Html:
    """A template of ``assets/app`` with its places filled; what is not :class:`Html` is escaped."""
    safe = {k: v if isinstance(v, Html) else html.escape(v) for k, v in values.items()}
    return Html(_template(template).substitute(safe))


@cache
def _template(name: str) -> Template:
    return Template((_ASSETS / f"{name}.html").read_text(encoding="utf-8"))
