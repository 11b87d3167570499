"""How far a board is to be trusted stands beside its name."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from leaderboard.boards import PROVENANCE, results, typed
from prunebench.leaderboard import board_of
from prunebench.leaderboard.site.overview import state_of
from prunebench.leaderboard.site.source import SiteBoard


@pytest.mark.parametrize(
    ("made", "told"),
    [
        ({}, ["full recipe"]),
        ({"missing_seeds": [3, 4]}, ["full recipe", "partial: 3 of 5 seeds"]),
        ({"profile": "reduced"}, ["reduced"]),
        ({"settings": ["train.horizon=10it"]}, ["reduced"]),
    ],
)
def test_what_is_reduced_or_partial_says_so_whatever_a_files_note_is(made: dict[str, Any], told: list[str]) -> None:
    found = typed(results(), (), {**PROVENANCE, **made}, notes=["The paper's recipe, measured less often."])
    state = str(state_of(SiteBoard("board", Path(), found, board_of(found))))
    badges = ["full recipe", "reduced", "partial: 3 of 5 seeds"]
    assert [badge for badge in badges if badge in state] == told
    assert "self-reported" in state
