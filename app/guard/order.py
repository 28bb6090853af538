"""The order of what a request passes: the guard first, and nothing for pages of other sites."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from typing import Any

from gradio.route_utils import CustomCORSMiddleware

from app.guard.allowed import Allowed
from app.guard.gate import Gate
from app.guard.headers import Headers

_FIRST = (Headers, Allowed, Gate)


@contextlib.asynccontextmanager
async def guard_first(app: Any) -> AsyncIterator[None]:
    """Reorder the middleware of a web app as it starts.

    Gradio puts its own before that of the app, whatever is given. One of them lets scripts of all
    sites read what is served, with the cookies of whoever visits them; it is left out.
    """
    kept = [each for each in app.user_middleware if each.cls is not CustomCORSMiddleware]
    app.user_middleware[:] = sorted(kept, key=lambda each: each.cls not in _FIRST)
    app.middleware_stack = app.build_middleware_stack()
    yield
