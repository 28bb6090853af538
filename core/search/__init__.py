"""Which gallery images are like a query: views, indexes, near-duplicates, ranking."""
