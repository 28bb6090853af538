"""What the server's owner sees of its work, as Prometheus text."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client import generate_latest as _text

CONTENT_TYPE = CONTENT_TYPE_LATEST
_SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800)


class Metrics:
    """Counters of one server; a registry of their own, so that two servers do not mix."""

    def __init__(self) -> None:
        registry = self._registry = CollectorRegistry()
        self.calls = Counter(
            "wellspring_calls",
            "Calls of handlers and endpoints, by how they ended",
            ["endpoint", "outcome"],
            registry=registry,
        )
        self.seconds = Histogram(
            "wellspring_call_seconds",
            "Seconds that a call took once its turn had come",
            ["endpoint"],
            buckets=_SECONDS,
            registry=registry,
        )
        self.responses = Counter(
            "wellspring_responses",
            "HTTP responses, by what was asked for and status",
            ["route", "status"],
            registry=registry,
        )
        self.refused = Counter(
            "wellspring_refused",
            "Requests and calls refused by a limit",
            ["limit"],
            registry=registry,
        )
        self.gauge("wellspring_memory_bytes", "Resident memory of the process", memory)

    def gauge(self, name: str, what: str, value: Callable[[], float]) -> None:
        """Show a value that is looked at when somebody asks."""
        Gauge(name, what, registry=self._registry).set_function(value)

    def text(self) -> bytes:
        """All of it, in Prometheus's text format."""
        return _text(self._registry)


def memory() -> float:
    """Resident memory of this process, bytes; its peak, or 0, where the system does not tell."""
    try:
        pages = Path("/proc/self/statm").read_text(encoding="ascii").split()[1]
        return float(int(pages) * os.sysconf("SC_PAGE_SIZE"))
    except OSError:
        try:
            import resource  # noqa: PLC0415 - Windows has none
        except ImportError:
            return 0.0
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return float(peak * (1 if sys.platform == "darwin" else 1024))
