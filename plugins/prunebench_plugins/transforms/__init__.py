"""What changes batches before the network sees them."""
