"""Measures of embeddings and rankings: disentanglement, alignment, retrieval."""
