"""JSON from outside: what cannot be taken is a ``ValueError``, however it is built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: when it is no JSON, is nested too deeply, or holds text that is no Unicode: a
            lone surrogate, which no file of ours could hold.
    """
    try:
        value = json.loads(text)
        escape = b"\\ud" if isinstance(text, bytes) else "\\ud"
        if escape in text.lower():  # pyright: ignore[reportOperatorIssue]
            json.dumps(value, ensure_ascii=False).encode()
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    except UnicodeEncodeError as error:
        raise ValueError("it holds half a character: a lone surrogate") from error
    return value


def read_json(path: Path) -> Any:
    """The value of a JSON file, in UTF-8.

    Raises:
        OSError: when it cannot be read.
        ValueError: as :func:`parse_json`.
    """
    return parse_json(path.read_text(encoding="utf-8"))
