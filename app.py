"""Serve the app: ``python app.py`` opens the built-in gallery on http://127.0.0.1:7860."""

from __future__ import annotations

from app.serve import serve

if __name__ == "__main__":
    serve()
