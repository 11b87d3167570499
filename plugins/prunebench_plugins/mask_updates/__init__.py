"""Rules that change the mask while a run trains."""
