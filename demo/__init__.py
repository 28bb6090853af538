"""The rendered world: still lifes whose factors are known, for the built-in gallery."""
