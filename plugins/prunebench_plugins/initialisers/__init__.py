"""Fresh weights."""
