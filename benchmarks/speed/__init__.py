"""How long an answer takes, a first visit, and a start in a fresh environment."""
