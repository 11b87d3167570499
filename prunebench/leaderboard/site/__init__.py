"""A static site over several leaderboards: overview, a page a board, a page a component, published claims."""

from prunebench.leaderboard.site.source import SiteBoard
from prunebench.leaderboard.site.write import write_site

__all__ = ["SiteBoard", "write_site"]
