"""SSH: a board that lets its user in."""
