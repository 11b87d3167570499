"""Content-addressed artifacts: atomic, checksummed, shared between processes."""
