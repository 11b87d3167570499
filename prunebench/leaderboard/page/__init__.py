"""The page that a person clicks through: one HTML file that needs no network. Importing this costs no Plotly."""

from prunebench.leaderboard.page.write import INDEX, write_page

__all__ = ["INDEX", "write_page"]
