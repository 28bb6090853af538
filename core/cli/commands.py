"""The command line: ``python -m core``."""

from core.cli import answers, galleries, learning
from core.cli.options import app

__all__ = ["answers", "app", "galleries", "learning"]
