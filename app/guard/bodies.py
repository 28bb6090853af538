"""What a request says is waited for only so long: whoever stops sending holds nothing."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope

from app.guard.limits import Refusal

SILENCE = 30.0
"""Seconds for which nothing may come."""
_SLOWEST = 20_000.0
"""Bytes that come in a second at least, after a first silence."""
_DRAINED = 4_000_000
"""Bytes that are read of a request that was refused: a picture."""
_DRAINING = 5.0
"""Seconds for which they are read."""
_VALUES = 100_000
"""Values in a call at most; a batch of 2,000 uploads has some 20,000."""
MANY = Refusal("values", 413, f"a call holds at most {_VALUES:,} values")


class Late(Exception):
    """A request did not come in time."""

    refusal = Refusal("slow", 408, "what you sent did not come in time; try again")


def holds_many(told: bytes) -> bool:
    """Whether what is told as JSON holds more values than a call, before it is read as JSON.

    Before each value but the first stands one of these marks. To read ten million took all other
    visitors 26 seconds, and fifty times the memory of the text.
    """
    return sum(map(told.count, b",[{:")) > _VALUES


class Body:
    """What one request says, piece by piece, each within its time."""

    def __init__(self, scope: Scope, receive: Receive, *, silence: float = SILENCE) -> None:
        self._receive, self._silence = receive, silence
        stated = Headers(scope=scope).get("content-length", "0")
        size = int(stated[:18]) if stated.isascii() and stated.isdigit() else 0
        self._late = asyncio.get_running_loop().time() + silence + size / _SLOWEST
        self._here: list[Message] = []
        self._ended = False

    async def __call__(self) -> Message:
        """The next message, as an app receives it.

        Raises:
            Late: when it does not come in time.
        """
        if self._here:
            return self._here.pop(0)
        if self._ended:  # what follows is that the client leaves, which takes any time
            return await self._receive()
        now = asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(min(self._silence, self._late - now)):
                message = await self._receive()
        except TimeoutError:
            raise Late from None
        self._ended = not message.get("more_body", False)
        return message

    async def whole(self) -> bytes | None:
        """All of it, which the app then receives at once; ``None`` where the client left.

        Raises:
            Late: when it does not come in time.
        """
        pieces: list[bytes] = []
        while not self._ended:
            message = await self()
            if message["type"] == "http.disconnect":
                return None
            pieces.append(message.get("body", b""))
        told = b"".join(pieces)
        self._here = [{"type": "http.request", "body": told, "more_body": False}]
        return told

    async def drain(self) -> None:
        """Read what is sent, up to a picture: closing on it would lose the words of a refusal."""
        size = 0
        with contextlib.suppress(TimeoutError, Late):
            async with asyncio.timeout(_DRAINING):
                while size < _DRAINED and not self._ended:
                    size += len((await self()).get("body", b""))
