"""What is found of known pairs: every table of docs/results.md is measured by one module here."""
