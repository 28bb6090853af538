"""The command of ``app.py``: what it takes, and one line where it cannot serve."""

from __future__ import annotations

import argparse
import socket
import sys
from collections.abc import Sequence

from app.page.hosting import is_hosted, open_session
from app.page.warm import warm_up
from app.ui import build, launch_options
from core.values import WellspringError


def serve(arguments: Sequence[str] | None = None) -> None:
    """Serve until stopped; status 2 for wrong use, 1 where a gallery or an address is no good."""
    args = _parser().parse_args(arguments)
    try:
        if args.host is not None:
            family = socket.AF_INET6 if ":" in args.host else socket.AF_INET
            socket.create_server((args.host, args.port), family=family).close()
        session = open_session()
        demo = build(session, gallery=args.gallery, encoder=args.encoder)
    except WellspringError as error:
        sys.exit(f"error: {error}")
    except OSError as error:
        sys.exit(
            f"error: cannot listen on {args.host}:{args.port}: {error.strerror or error}; "
            "name another with --host and --port"
        )
    session.preparations.begin(args.gallery)
    warm_up(session, gallery=args.gallery, encoder=args.encoder)
    demo.launch(server_name=args.host, server_port=args.port, **launch_options())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="app.py", description="Serve the Wellspring app.")
    parser.add_argument(
        "--host", default=None if is_hosted() else "127.0.0.1", help="address to listen on"
    )
    parser.add_argument("--port", type=_port, default=7860, help="port to listen on")
    parser.add_argument("--gallery", default="builtin", help="builtin, or a gallery's folder")
    parser.add_argument("--encoder", help="encoder chosen at first")
    return parser


def _port(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text[:9]) < 65_536:
        raise argparse.ArgumentTypeError(f"a port is a number from 1 to 65535, got {text!r}")
    return int(text)
