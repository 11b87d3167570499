"""Learning-rate multipliers."""
