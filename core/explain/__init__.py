"""Why an image matched, and where it lies among the others."""
