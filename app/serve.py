"""The command of ``app.py``: what it takes, and one line where it cannot serve."""

from __future__ import annotations

import argparse
import atexit
import contextlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from app.guard.guard import Guard
from app.guard.logs import event, log_lines
from app.guard.sockets import limit_connections
from app.page.hosting import is_hosted, open_session
from app.page.warm import warm_up
from app.ui import build, launch_options
from core.service import Session
from core.values import WellspringError

_PATIENCE = 20.0
"""Seconds that a stop waits for builds to come to the end of a shard; most places give 30."""


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
    if session.server.hosted:
        log_lines()
        limit_connections(session.server)
    session.preparations.begin(args.gallery)
    warming = warm_up(session, gallery=args.gallery, encoder=args.encoder)
    guard = Guard(session, ready=lambda: warming.why)
    guard.watch(demo)
    event("start")
    with _stopped_gently(session):
        demo.launch(server_name=args.host, server_port=args.port, **launch_options(guard))


@contextlib.contextmanager
def _stopped_gently(session: Session) -> Iterator[None]:
    """End the block by SIGTERM as by Ctrl+C, with what is being built at the end of a shard.

    The app closes its port when the main thread is interrupted. Builds go on when they are asked
    for again: their visitors find what was finished.
    """
    told = threading.Event()

    def stop(*_: Any) -> None:
        told.set()
        session.visitors.stop()
        raise KeyboardInterrupt

    with contextlib.suppress(ValueError):  # not in the main thread, as in tests
        signal.signal(signal.SIGTERM, stop)
    try:
        with contextlib.suppress(KeyboardInterrupt):
            yield
    finally:
        session.visitors.stop()
        event("stop", builds_ended=session.visitors.wait(_PATIENCE))
    if told.is_set():  # threads of torch that are at work would abort an end that takes its time
        atexit._run_exitfuncs()
        os._exit(0)


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
