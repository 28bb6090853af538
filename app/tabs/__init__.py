"""The tabs, each with its layout, its handlers, and its events (what leads to what)."""
