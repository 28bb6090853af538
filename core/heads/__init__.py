"""Disentanglement: linear maps that centre, whiten and rotate features into embeddings."""
