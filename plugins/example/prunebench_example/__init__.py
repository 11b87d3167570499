"""Two components from outside of prunebench: a score and an analysis."""
