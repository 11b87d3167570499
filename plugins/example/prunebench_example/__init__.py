"""Components from outside of prunebench: a score, an analysis, and a task of another kind with its data and network."""
