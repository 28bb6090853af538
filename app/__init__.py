"""The browser app: look, views, tabs and their assembly."""
