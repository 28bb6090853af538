"""HTML from the templates in ``assets/app``; every value put into one is escaped."""

from __future__ import annotations

import re
from pathlib import Path

from markupsafe import Markup

from core.report import environment, words

_ASSETS = Path(__file__).parents[2] / "assets" / "app"
_JOINT = re.compile(r"(?<=[-_. ])")  # where a file name may go on in the next line


def breakable(name: str) -> Markup:
    """A file name that may be broken between its words."""
    return Markup("<wbr>").join(_JOINT.split(name))


def render(template: str, **values: object) -> str:
    """A template filled with values.

    Args:
        template: name of a file of ``assets/app``, without its ending.
        values: what the template names, all of it.
    """
    return _environment.get_template(f"{template}.html").render({**_FUNCTIONS, **values})


_environment = environment(_ASSETS)
_FUNCTIONS = {
    "percent": words.share,
    "sure": words.sure_share,
    "number": words.number,
    "breakable": breakable,
}
