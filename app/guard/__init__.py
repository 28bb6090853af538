"""What stands between the network and the page: limits, headers, logs, metrics, health."""

from app.page import zerogpu  # first of all: it must come before torch

__all__ = ["zerogpu"]
