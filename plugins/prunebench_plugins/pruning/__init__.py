"""Prunings that choose the mask and update the surviving weights together."""
