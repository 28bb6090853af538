"""``python -m core``."""

import sys

if __name__ == "__main__":
    try:
        from core.cli.commands import app
        from core.cli.console import streams

        with streams():
            app()
    except KeyboardInterrupt:  # while libraries are loaded: seconds in which nothing is under way
        sys.exit(130)
