from pathlib import Path
from typing import Any

import pytest
from leaderboard.boards import board as board_of_rows
from leaderboard.boards import row
from quiet import quietly

from prunebench import PrunebenchError
from prunebench.api.estimates import Paired
from prunebench.results.provenance import read_provenance
from prunebench.verification.fresh import Claim, claims, verify_fresh

Rows = list[dict[str, Any]]


def rows(entry: str, values: list[float], density: float = 0.5, **changes: Any) -> Rows:
    return [row(entry, seed, density, value, **changes) for seed, value in enumerate(values)]


LOW, HIGH = rows("a", [0.80, 0.81, 0.82]), rows("b", [0.90, 0.91, 0.925])
SWAPPED = rows("a", [0.90, 0.91, 0.925]) + rows("b", [0.80, 0.81, 0.82])


def found(recorded: Rows, fresh: Rows, against: str = "b", **report: Any) -> list[Claim]:
    """The claims of one board on the seeds of another."""
    boards = (board_of_rows(some, against=against, entries=(), **report) for some in (recorded, fresh))
    return list(claims(*boards, entries=("a", "b", "c", "dense")))


def verdict(recorded: Rows, fresh: Rows, **report: Any) -> str:
    (claim,) = found(recorded, fresh, **report)
    return claim.verdict


def test_a_difference_found_again_holds_and_one_turned_round_is_contradicted() -> None:
    assert verdict(LOW + HIGH, LOW + HIGH) == "holds"
    assert verdict(LOW + HIGH, SWAPPED) == "contradicted"


def paired(low: float | None, high: float | None) -> Paired:
    return Paired(0.01, low, high, None, 3)


def test_what_was_not_claimed_cannot_be_contradicted() -> None:
    for recorded in (paired(-0.1, 0.1), paired(None, None), None):
        assert Claim("m", "d", "a", "b", (0.5,), recorded, paired(-0.3, -0.1)).verdict == "not contradicted"
    assert Claim("m", "d", "a", "b", (0.5,), paired(0.1, 0.2), None).verdict == "not contradicted"


def test_a_dense_reference_is_compared_at_every_density() -> None:
    dense = rows("dense", [0.7, 0.7, 0.71], density=1.0)
    (claim,) = found(LOW + dense, LOW + dense, against="dense")
    assert claim.recorded is not None
    assert claim.recorded.difference == pytest.approx(0.81 - 2.11 / 3)


def test_a_claim_is_made_at_the_cost_that_the_board_compares_at() -> None:
    # at an equal cost a leads by 20 points and then loses by 20; at an equal density it is always 10 better
    def at_costs(a: float, b: float) -> Rows:
        here = []
        for seed in range(3):
            noise = seed / 1000
            for density, cost, value in ((0.5, 0.4, a), (0.25, 0.2, a - 0.1)):
                here.append(row("a", seed, density, value + noise, density_macs=cost, round=round(1 / density)))
            for density, cost, value in ((0.5, 0.8, a - 0.1), (0.25, 0.4, b), (0.125, 0.2, b - 0.1)):
                here.append(row("b", seed, density, value, density_macs=cost, round=round(1 / density)))
        return here

    axis = {"axis": "density_macs", "at": [0.4, 0.2]}
    (claim,) = found(at_costs(0.9, 0.7), at_costs(0.7, 0.9), **axis)
    assert claim.places == (0.4, 0.2)
    assert claim.recorded is not None
    assert claim.fresh is not None
    assert claim.recorded.difference == pytest.approx(0.201)
    assert claim.fresh.difference == pytest.approx(-0.199)
    assert claim.verdict == "contradicted"


def test_densities_that_share_a_column_of_the_page_meet() -> None:
    recorded = rows("a", [0.9, 0.91, 0.92], 0.2) + rows("b", [0.7, 0.71, 0.725], 0.2003)
    fresh = rows("a", [0.7, 0.71, 0.72], 0.2001) + rows("b", [0.9, 0.91, 0.925], 0.1999)
    assert verdict(recorded, fresh) == "contradicted"


def test_each_model_has_claims_of_its_own() -> None:
    # pooled, the models' differences cancel; each of them is turned round
    recorded = LOW + HIGH + [{**one, "model": "conv"} for one in SWAPPED]
    fresh = SWAPPED + [{**one, "model": "conv"} for one in LOW + HIGH]
    here = found(recorded, fresh)
    assert [(claim.model, claim.verdict) for claim in here] == [("conv", "contradicted"), ("lenet", "contradicted")]


def test_a_place_that_no_fresh_seed_reached_leaves_the_claim_open() -> None:
    recorded = LOW + HIGH + rows("a", [0.7, 0.71, 0.72], 0.25, round=2) + rows("b", [0.8, 0.81, 0.825], 0.25, round=2)
    (claim,) = found(recorded, LOW + HIGH)
    assert claim.recorded is not None
    assert claim.fresh is None
    assert claim.verdict == "not contradicted"


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
