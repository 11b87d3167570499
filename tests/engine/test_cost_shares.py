"""A file that asks for shares of a cost: solved by each pruning, written in rows, met by entries at the asked place."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.toy_runs import prepared, rows, run
from prunebench.api.cost_share import AXIS_OF, Cost
from prunebench.leaderboard import board_of
from prunebench.verification.audit.tickets import other_tickets


def asking(of: Cost, *entries: dict[str, Any]) -> dict[str, Any]:
    """The toy benchmark cut by 0.4 of a cost in each round."""
    pruned = {"schedule": "rewind", "score": "magnitude", "select": "global", "units": "toy-units", "density_of": of}
    return {
        "cut": 0.4,
        "entry": [{"name": "dense", "units": "toy-units"}, *({**pruned, **entry} for entry in entries)],
        "report": {"axis": AXIS_OF[of], "at": [0.6, 0.36]},
    }


def reached(store: Path, *entries: dict[str, Any], of: Cost = "macs") -> tuple[Any, dict[tuple[str, int], Any]]:
    outcome = run(store, asking(of, *entries))
    assert not outcome.failed
    judged = [
        row
        for row in rows(outcome, role="evaluate", metric="accuracy", split="test")
        if row["round"] and row["entry"] in {one["name"] for one in entries}
    ]
    return outcome, {(row["entry"], row["round"]): row for row in judged}


@pytest.mark.parametrize("of", ["macs", "parameters"])
def test_every_round_comes_within_one_unit_of_its_share(store_path: Path, of: Cost) -> None:
    global_, own = {"name": "global"}, {"name": "layers", "select": "layerwise", "schedule": "one-shot"}
    steps = {"name": "steps", "schedule": {"use": "at-init", "steps": 3}, "score": "random"}
    outcome, found = reached(store_path, global_, own, steps, of=of)
    assert len(found) == 6
    for row in found.values():
        asked = row[f"asked_{of}"]
        assert asked == 0.6 ** row["round"]
        # A unit is one of 66 multiplications, and one of 75 parameters.
        assert abs(row[AXIS_OF[of]] - asked) <= 0.5 / 66 + 1e-9
    (group,) = board_of(outcome.results).groups
    assert group.places == (1.0, 0.6, 0.36)
    met = [group.entries[name].cells[place] for name in ("global", "layers", "steps") for place in (0.6, 0.36)]
    assert all(cell.n == 1 and not cell.between for cell in met)
    plan = prepared(store_path, asking(of, global_, own, steps)).plan
    assert not [one for one in other_tickets(outcome.results, plan) if "share of a cost" in one]
    moved = [
        row.model_copy(update={f"asked_{of}": 0.9}) if row.entry == "steps" and row.round == 1 else row
        for row in outcome.results.rows
    ]
    (said,) = [
        one for one in other_tickets(replace(outcome.results, rows=moved), plan) if "another share of a cost" in one
    ]
    assert "steps" in said
