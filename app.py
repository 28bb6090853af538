"""Serve the app: ``python app.py`` opens the embedded gallery on http://127.0.0.1:7860."""

from __future__ import annotations

import argparse

from app.hosting import is_hosted, open_session
from app.ui import build, launch_options

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Serve the Wellspring app.")
    parser.add_argument(
        "--host", default=None if is_hosted() else "127.0.0.1", help="address to listen on"
    )
    parser.add_argument("--port", type=int, default=7860, help="port to listen on")
    parser.add_argument("--gallery", default="embedded", help="embedded, or a gallery's folder")
    parser.add_argument("--encoder", help="encoder chosen at first")
    args = parser.parse_args()
    demo = build(open_session(), gallery=args.gallery, encoder=args.encoder)
    demo.launch(server_name=args.host, server_port=args.port, **launch_options())
