"""Statistics for few seeds: pure functions, open to every plugin."""
