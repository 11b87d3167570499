"""What networks are trained for and judged by."""
