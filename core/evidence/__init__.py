"""What a ranking is worth: the null, confidence, influence and the answer."""
