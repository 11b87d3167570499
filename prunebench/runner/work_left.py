"""How much work a plan is, and how much of it the store has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from prunebench.engine.missing import missing, samples
from prunebench.runner.preparing import Prepared
from prunebench.store.store import Store


@dataclass(frozen=True)
class Status:
    """How much work a plan is, and how much of it the store has."""

    trials: int
    phases: int
    phases_missing: int
    runs_naive: int
    runs_distinct: int
    runs_cached: int
    sample_steps: int
    """Training images still to be processed, counted with repetition: steps x batch over the runs that are missing."""

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "trials": self.trials,
            "phases": {"distinct": self.phases, "missing": self.phases_missing},
            "runs": {"naive": self.runs_naive, "distinct": self.runs_distinct, "cached": self.runs_cached},
            "sample_steps": self.sample_steps,
        }


def status(prepared: Prepared, store: Store) -> Status:
    """Compare a plan with a store."""
    plan = prepared.plan
    lacking = missing(plan, store)
    steps = sum(samples(plan.phases[key], outputs) for key, outputs in lacking.items())
    runs_missing = sum(plan.phases[key].kind == "train" for key in lacking)
    runs = len(plan.runs)
    return Status(
        trials=len(plan.trials),
        phases=len(plan.wanted),
        phases_missing=len(lacking),
        runs_naive=plan.naive_runs,
        runs_distinct=runs,
        runs_cached=runs - runs_missing,
        sample_steps=steps,
    )
