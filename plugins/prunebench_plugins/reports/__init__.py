"""Built-in reports, one idea a file."""
