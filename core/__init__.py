"""Unsupervised synthetic image attribution: images to encoders to ranked, explained sources."""
