"""New images made from given ones, whose sources are therefore known."""
