"""Galleries on disk: images, their table, their features; built, changed, checked."""
