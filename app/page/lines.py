"""The lines in which calls wait, so that long work stands before nobody who waits for an answer.

Each line works on a few calls at once (``ServerConfig.at_once``, where nothing else is said).
"""

from __future__ import annotations

ANSWER = "encoder"
"""One image is asked about: a second, or some at the first look at a gallery."""
MEASURE = "measure"
"""A whole gallery is looked at: up to a minute."""
BUILD = "build"
"""Galleries are built and changed, and many images are asked about: minutes."""
PREPARE = "prepare"
"""An encoder is fetched and applied, or somebody waits for it."""
JUDGE = "judge"
"""The dimensions of a head are fitted again beside an answer."""

LONG = (ANSWER, MEASURE, BUILD, PREPARE, JUDGE)
"""Those that take a client's seconds; all others are done at once."""
