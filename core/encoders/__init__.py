"""Alignment: networks, pooling, descriptors and baselines that map images to features."""
