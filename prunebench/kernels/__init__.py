"""Exact and fast pieces that plugins share: selection, units of single weights, multiply-accumulates, files."""
