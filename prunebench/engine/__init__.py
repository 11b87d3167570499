"""Interprets a plan: phases, the one training loop, executors."""
