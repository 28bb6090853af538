"""Answers in words and as files: HTML, JSON and CSV."""

from core.evidence import words

__all__ = ["words"]
