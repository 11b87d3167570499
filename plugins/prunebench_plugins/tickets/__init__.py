"""Edits of a ticket before it is judged."""
