"""Networks and data of a user's own module, without a plugin."""
