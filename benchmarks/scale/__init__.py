"""How the stages of finishing a gallery grow with its size."""
