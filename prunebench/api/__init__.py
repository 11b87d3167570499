"""What a plugin may import, beside `prunebench.kernels` and `prunebench.stats`. Importing it costs no torch."""
