"""Compare: one image, two ways to search for it, what they share and which is right."""

from app.tabs.compare.events import create

__all__ = ["create"]
