"""Map: a gallery and its examples in the plane, to look at, select from and export."""

from app.tabs.map.events import create

__all__ = ["create"]
