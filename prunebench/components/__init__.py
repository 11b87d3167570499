"""Installed plugins, their components by name, and the managers that call their hooks. No torch."""
