"""What a plugin may import, beside `prunebench.kernels` and `prunebench.stats`. Importing it costs no torch."""

PUBLIC = ("prunebench.api", "prunebench.kernels", "prunebench.stats")
"""The packages that plugins may import, beside the names of `prunebench` itself. All else changes unannounced."""
