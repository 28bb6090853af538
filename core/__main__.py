"""``python -m core``."""

from core.cli.commands import app
from core.cli.console import streams

if __name__ == "__main__":
    with streams():
        app()
