"""``python -m core``."""

import gc
import sys

if __name__ == "__main__":
    gc.disable()  # nothing of what libraries load is garbage, and looking for some takes .7 s
    try:
        from core.cli.commands import app
        from core.cli.console import streams

        gc.freeze()
        gc.enable()
        with streams():
            app()
    except KeyboardInterrupt:  # while libraries are loaded: seconds in which nothing is under way
        sys.exit(130)
