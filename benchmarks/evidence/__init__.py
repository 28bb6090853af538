"""What p-values, names and confidences are worth: the tables of docs/evidence.md."""
