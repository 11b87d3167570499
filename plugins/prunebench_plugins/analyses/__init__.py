"""Measurements of what pruning did."""
