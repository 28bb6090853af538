"""Measurements of quality and speed; each prints ratios taken in one run."""
