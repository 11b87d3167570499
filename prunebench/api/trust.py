"""Which code of a user's own a benchmark file may run. No torch."""

TRUSTED = "PRUNEBENCH_PYTHON"
"""The variable that names, separated by commas, the modules whose code a file may run; the option --python sets it."""
