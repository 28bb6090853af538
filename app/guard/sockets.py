"""Connections of a hosted server: none waits without end for a request, and nobody holds all."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any, ClassVar

from uvicorn.config import HTTP_PROTOCOLS
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from core.config import ServerConfig

_HTTP: Any = AutoHTTPProtocol
_FILES = 65_536
"""Open files and connections that the process asks the system for, if it may have as many."""


class TimedProtocol(_HTTP):
    """Uvicorn's protocol, which has no time for the headers of a request, with one."""

    patience: ClassVar[float] = 30.0
    """Seconds in which a connection must begin a request, with all its headers."""
    most: ClassVar[int] = 0
    """Connections from one address; 0 for any number."""

    _end: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Take a connection, unless its address has enough."""
        super().connection_made(transport)
        host = self.client and self.client[0]
        own = sum(bool(each.client) and each.client[0] == host for each in self.connections)
        if self.most and own > self.most:
            transport.abort()
            return
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Read on; drops of a request that never begins win no time."""
        super().data_received(data)
        if self._end is not None and self.cycle and not self.cycle.response_complete:
            self._end.cancel()
            self._end = None

    def on_response_complete(self) -> None:
        """Wait for the next request."""
        super().on_response_complete()
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        super().connection_lost(exc)
        if self._end is not None:
            self._end.cancel()

    def _wait(self) -> None:
        if self._end is None:
            self._end = self.loop.call_later(self.patience, self.transport.close)


def limit_connections(server: ServerConfig) -> None:
    """Let servers that begin from now on take connections so.

    Gradio passes no setting on to Uvicorn, which finds its protocol by name. Behind proxies the
    address of a connection is a proxy's, and they wait for headers themselves.
    """
    TimedProtocol.most = 0 if server.proxies else 2 * server.max_client_open
    HTTP_PROTOCOLS["auto"] = f"{__name__}:{TimedProtocol.__name__}"
    with contextlib.suppress(ImportError):  # Windows has no such limit
        import resource  # noqa: PLC0415 - see above

        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        most = _FILES if hard == resource.RLIM_INFINITY else min(hard, _FILES)
        if resource.RLIM_INFINITY != soft < most:
            resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
