"""Attribute: an image in; the answer, its candidate sources and their reasons out."""

from app.tabs.attribute.events import create

__all__ = ["create"]
