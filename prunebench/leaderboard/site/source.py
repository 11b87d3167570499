"""What a site is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from prunebench.api.board import Board
from prunebench.api.results import Results
from prunebench.leaderboard.expectations import is_reduced


@dataclass(frozen=True)
class SiteBoard:
    """One leaderboard of a site.

    Args:
        slug: its folder's name: that of its page.
        folder: where its files are.
        components: the components that each entry names, by entry; empty where the benchmark file is not at hand.
    """

    slug: str
    folder: Path
    results: Results
    board: Board
    components: Mapping[str, Sequence[str]] = field(default_factory=dict)

    @property
    def reduced(self) -> bool:
        """Whether its recipe is not the file's full one, so that no published result is judged by it."""
        return is_reduced(self.board.provenance)
