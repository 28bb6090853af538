"""The drawing of a map as a component: its template, its scripts, what they ask the server."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import gradio as gr

from app.page.theme import ASSETS

_SCRIPTS = Path(__file__).parent / "scripts"
_ORDER = ("points", "pictures", "names", "marks", "panel", "input", "main")


def drawing(value: Any = None, *, asked: Sequence[Callable[..., Any]] = ()) -> gr.HTML:
    """A map.

    Args:
        value: what :func:`app.views.map.value` gives; nothing is drawn without.
        asked: ``peek`` and ``pictures``, by these names, as the scripts call them.
    """
    scripts = [(_SCRIPTS / f"{name}.js").read_text(encoding="utf-8") for name in _ORDER]
    return gr.HTML(
        value,
        html_template=(ASSETS / "map.html").read_text(encoding="utf-8"),
        js_on_load="\n".join(scripts),
        server_functions=list(asked),
        apply_default_css=False,
        elem_id="ws-map",
    )
