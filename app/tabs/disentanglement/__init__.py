"""Disentanglement: an embedding before and after its head, and each of its dimensions."""

from app.tabs.disentanglement.events import create

__all__ = ["create"]
