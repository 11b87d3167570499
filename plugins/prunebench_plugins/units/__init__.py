"""What is kept or removed as one."""
