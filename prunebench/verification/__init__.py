"""Recorded results held against a second run."""
