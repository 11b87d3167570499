"""What prose says in numbers stands on a committed board: every "difference ± half" of the overviews is found there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

PROSE = ("README.md", "leaderboards/README.md", "benchmarks/README.md")
_SPREAD = re.compile(r"([+-]?\d+(?:\.\d+)?) ± (\d+(?:\.\d+)?)")

BOARDS = [path.read_text(encoding="utf-8") for path in sorted(Path("leaderboards").glob("*/README.md"))]
KNOWN = [(abs(float(middle)), float(half)) for text in BOARDS for middle, half in _SPREAD.findall(text)]


def _rounds_to(shown: str, value: float) -> bool:
    """Whether a number rounds to what is shown; a board's own rounding may have gone before."""
    decimals = len(shown.partition(".")[2])
    return abs(abs(float(shown)) - value) <= 0.5001 * 10.0**-decimals + 1e-9


@pytest.mark.parametrize("name", PROSE)
def test_every_difference_in_prose_is_one_of_a_board(name: str) -> None:
    text = Path(name).read_text(encoding="utf-8")
    lost = [
        f"{middle} ± {half}"
        for middle, half in _SPREAD.findall(text)
        if not any(_rounds_to(middle, one) and _rounds_to(half, other) for one, other in KNOWN)
    ]
    assert lost == []


def test_percentages_of_the_overview_stand_on_the_board_of_their_row() -> None:
    rows = [line for line in Path("leaderboards/README.md").read_text(encoding="utf-8").splitlines() if "](" in line]
    checked = 0
    for row in rows:
        link = re.match(r"\| \[`([a-z0-9-]+)`\]", row)
        if link is None:
            continue
        board = Path("leaderboards", link[1], "README.md").read_text(encoding="utf-8")
        for number in re.findall(r"(\d+\.\d\d) %", row):
            assert re.search(rf"(?<![\d.]){re.escape(number)}(?!\d)", board), f"{link[1]}: {number} %"
            checked += 1
    assert checked > 5
