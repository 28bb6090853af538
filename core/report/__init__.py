"""Answers as files: HTML, JSON and CSV."""
