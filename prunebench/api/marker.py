"""The mark of a hook's implementation."""

import pluggy

hookimpl = pluggy.HookimplMarker("prunebench")
"""Marks a method or function as the implementation of the hook of its name."""
