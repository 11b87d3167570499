"""The built-in plugins of prunebench: one idea a file, each with its own entry point."""
