"""HTML from templates: values are escaped, and no text hides or reorders what stands around it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def environment(folder: Path) -> Environment:
    """The templates of a folder.

    Every value is escaped unless it is :class:`markupsafe.Markup`; control characters, those that
    change the direction of writing included, are replaced. A name that is not given is an error.
    ``url is web_address`` tells addresses that may become links.
    """
    made = Environment(
        loader=FileSystemLoader(folder),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_visible,
    )
    made.tests["web_address"] = is_web_address
    return made


def is_web_address(url: str) -> bool:
    """Whether a text is an http or https address with a host, which a page may link to."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)


def _visible(value: object) -> object:
    if isinstance(value, str) and not isinstance(value, Markup):
        return _CONTROL.sub("\ufffd", value)
    return value
