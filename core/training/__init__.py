"""Self-supervised training of the bundled encoders: no labels, no pairs."""
