"""Which units survive a round."""
