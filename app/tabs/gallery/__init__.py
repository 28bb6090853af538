"""Gallery: open, build and change galleries; their numbers, duplicates and health."""

from app.tabs.gallery.events import create

__all__ = ["create"]
