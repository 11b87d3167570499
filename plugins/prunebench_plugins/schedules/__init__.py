"""Schedules: which runs and prunings lead to the tickets."""
