from pathlib import Path
from typing import Any

import pytest
from leaderboard.boards import row, typed_row
from quiet import quietly

from prunebench import PrunebenchError
from prunebench.api.rows import Row
from prunebench.results.provenance import read_provenance
from prunebench.verification.fresh import Claim, claim_of, verify_fresh


def rows(entry: str, values: list[float], density: float = 0.5) -> list[Row]:
    return [typed_row(row(entry, seed, density, value)) for seed, value in enumerate(values)]


LOW, HIGH = rows("a", [0.80, 0.81, 0.82]), rows("b", [0.90, 0.91, 0.925])
SWAPPED = rows("a", [0.90, 0.91, 0.925]) + rows("b", [0.80, 0.81, 0.82])


def test_a_difference_found_again_holds_and_one_turned_round_is_contradicted() -> None:
    assert claim_of(LOW + HIGH, LOW + HIGH, "a", "b", "test/accuracy", 0.05).verdict == "holds"
    assert claim_of(LOW + HIGH, SWAPPED, "a", "b", "test/accuracy", 0.05).verdict == "contradicted"


def test_what_was_not_claimed_cannot_be_contradicted() -> None:
    assert Claim("a", "b", 0.01, (-0.1, 0.1), -0.2, (-0.3, -0.1)).verdict == "not contradicted"
    assert Claim("a", "b", 0.01, None, -0.2, (-0.3, -0.1)).verdict == "not contradicted"


def test_a_dense_reference_is_compared_at_every_density() -> None:
    dense = rows("dense", [0.7, 0.7, 0.71], density=1.0)
    claim = claim_of(LOW + dense, LOW + dense, "a", "dense", "test/accuracy", 0.05)
    assert claim.recorded == pytest.approx(0.81 - 2.11 / 3)


def test_fresh_seeds_are_seeds_that_were_not_recorded(board: Path) -> None:
    seen: list[int] = []

    def show(prepared: Any, numbers: Any) -> Any:
        seen.extend(prepared.benchmark.seeds)
        return quietly(prepared, numbers)

    claims = verify_fresh(board, entries="random", seeds=2, show=show)
    assert seen == [3, 4]
    assert not set(seen) & set(read_provenance(board).seeds)
    assert [(claim.entry, claim.against) for claim in claims] == [("random", "imp")]


def test_an_edited_leaderboard_is_refused(board: Path) -> None:
    (board / "results.jsonl").write_text("")
    with pytest.raises(PrunebenchError, match="was edited"):
        verify_fresh(board, show=quietly)
