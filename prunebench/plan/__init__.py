"""A benchmark compiled to phases before anything trains. No torch."""
