"""From artifacts to rows, and the folder that holds them."""
