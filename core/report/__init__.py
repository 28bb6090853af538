"""Answers in words and as files: HTML, JSON and CSV."""

from core.evidence import words
from core.report.tables import csv_text

__all__ = ["csv_text", "words"]
