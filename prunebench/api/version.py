"""The version of prunebench. No torch, and no other module."""

VERSION = "0.1.0"
"""As the distribution has it."""
