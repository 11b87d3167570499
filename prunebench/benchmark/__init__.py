"""A benchmark file: read, merged, resolved and checked. No torch."""
