"""From artifacts to rows: one measurement a line, the same bytes for the same file in the same store."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from prunebench.api.cost_share import CostShare
from prunebench.api.planning import Evaluation, Ref
from prunebench.api.rows import Outcome, Row
from prunebench.api.task import EARLY_STOP, LOSS, STOPPED_AT, all_metrics, primary
from prunebench.plan.trial import LeftOut, Plan, Trial
from prunebench.results.outputs import Output, Outputs
from prunebench.results.rows import shared

DENSITIES = ("density", "density_all", "density_macs")
"""The fraction kept of the units that may be pruned, of all parameters, and of the multiply-accumulates."""


def rows_of(plan: Plan, outputs: Outputs) -> list[Row]:
    """All measurements of a plan, in the order of its file.

    Raises:
        LostArtifact: an output is gone or corrupt; it was set aside, and executing again makes it anew.
    """
    reader = _Reader(plan, outputs)
    rows = [row for trial in plan.trials for row in reader.trial(trial)]
    return shared([*rows, *(row for out in plan.left_out for row in rows_of_left_out(out))])


def rows_of_left_out(out: LeftOut) -> Iterator[Row]:
    """A row for each seed of an entry whose method does not apply to the network."""
    for seed in out.seeds:
        placed = {"entry": out.entry, "model": out.model, "data": out.data, "seed": seed}
        run = {"round": 1, "draw": 0, "twin": 0, "role": "find", **dict.fromkeys(DENSITIES), "key": ""}
        yield _row({**placed, **run, "note": out.why}, "", "", None, "", "", "inapplicable")


class _Reader:
    def __init__(self, plan: Plan, outputs: Outputs) -> None:
        self.plan, self.outputs = plan, outputs

    def trial(self, trial: Trial) -> Iterator[Row]:
        densities: dict[int, dict[str, float | None]] = {}
        for evaluation in trial.evaluations:
            facts = self._density(trial, evaluation)
            densities.setdefault(evaluation.round, {name: facts[name] for name in DENSITIES})
            yield from self._evaluation(trial, evaluation, facts)
        for name, ref in trial.analyses:
            yield from self._analysis(trial, name, ref, densities)

    def _mixed(self, artifact: Output | None) -> dict[str, Any]:
        """A mark on rows that rest on artifacts of other environments (`--reuse any`); none on the others."""
        own = (self.outputs.environment,)
        return {} if artifact is None or artifact.lineage == own else {"environments": artifact.lineage}

    def _density(self, trial: Trial, evaluation: Evaluation) -> dict[str, Any]:
        """Density over the units that may be pruned and over all parameters, and how many layers are empty."""
        count = evaluation.run.ticket.count
        asked = {f"asked_{count.of}": count.share} if isinstance(count, CostShare) else {}
        if evaluation.mask is None:
            return {"density": 1.0, "density_all": 1.0, "density_macs": 1.0, "empty": 0}
        artifact = self.outputs.get(evaluation.mask)
        if artifact is None or "count" not in artifact.meta:
            planned = None if isinstance(count, CostShare) else count / trial.units
            return {"density": planned, "density_all": None, "density_macs": None, "empty": 0, "asked": asked}
        meta = artifact.meta
        return {
            "density": meta["count"] / trial.units,
            "density_all": meta["parameters"] / meta["parameters_all"],
            # Masks that an earlier version of the suite stored do not have it.
            "density_macs": meta["macs"] / meta["macs_all"] if "macs" in meta else None,
            "empty": meta["counts"].count(0),
            "unscored": tuple(meta.get("unscored", ())),
            "notes": meta.get("notes", ()),
            "asked": asked,
        }

    def _evaluation(self, trial: Trial, evaluation: Evaluation, facts: Mapping[str, Any]) -> Iterator[Row]:
        spec = self.plan.curves[evaluation.curve.detail]
        artifact = self.outputs.get(evaluation.curve)
        base: dict[str, Any] = {
            "entry": trial.entry,
            "model": trial.model,
            "data": trial.data,
            "seed": trial.seed,
            "round": evaluation.round,
            "draw": evaluation.draw,
            "twin": 0,
            "role": "evaluate",
            "density": facts["density"],
            "density_all": facts["density_all"],
            "density_macs": facts["density_macs"],
            "key": evaluation.run.key,
            **self._mixed(artifact),
            **facts.get("asked", {}),
            **({"note": "; ".join(facts["notes"])} if facts.get("notes") else {}),
        }
        if facts["empty"]:
            base["empty_layers"] = facts["empty"]
        if facts.get("unscored"):
            base["unscored_layers"] = facts["unscored"]
        metrics = [(split, metric) for split in spec.splits for metric in trial.metrics]
        units = {name: info.unit for name, info in all_metrics(trial.metrics).items()}
        diverged = artifact is not None and artifact.meta.get("outcome") == "diverged"
        if artifact is None or diverged:
            broke: Outcome = "diverged" if diverged else "failed"
            for split, metric in metrics:
                yield _row(base, metric, split, None, units[metric], f"{evaluation.run.stop}it", broke)
            return
        points = {p["iteration"]: p for p in artifact.points}
        # Curves that an earlier version of the suite stored do not say whether the outputs vary.
        constant = artifact.meta.get("constant", facts["empty"] > 0)
        outcome: Outcome = "collapsed" if constant else "ok"
        longer = artifact.meta.get("longer", 1.0)
        for iteration in dict.fromkeys(round(at * longer) for at in (*spec.at, evaluation.run.stop)):
            for split, metric in metrics:
                value = points[iteration][f"{split}/{metric}"]
                became: Outcome = "diverged" if value is None else outcome
                yield _row(base, metric, split, value, units[metric], f"{iteration}it", became)
        if "valid" in spec.splits and spec.every is not None:
            # The first of the smallest: the iteration at which early stopping would have stopped.
            at = _smallest(points, f"valid/{LOSS}")
            best = points[at]
            yield _row(base, STOPPED_AT, "valid", float(at), units[STOPPED_AT], f"{at}it", outcome)
            judged = primary(trial.metrics)
            for split in spec.splits:
                value = best[f"{split}/{judged}"]
                yield _row(base, EARLY_STOP + judged, split, value, units[judged], f"{at}it", outcome)

    def _analysis(
        self, trial: Trial, name: str, ref: Ref, densities: Mapping[int, Mapping[str, float | None]]
    ) -> Iterator[Row]:
        artifact = self.outputs.get(ref)
        base = {
            "entry": trial.entry,
            "model": trial.model,
            "data": trial.data,
            "seed": trial.seed,
            "draw": 0,
            "twin": 0,
            "role": "analyse",
            "key": ref.key,
            **self._mixed(artifact),
        }
        failed = artifact is None or artifact.meta.get("outcome") == "diverged"
        if artifact is None or failed:
            outcome: Outcome = "failed" if artifact is None else "diverged"
            yield _row({**base, "round": None, **dict.fromkeys(DENSITIES)}, name, "", None, "", "", outcome)
            return
        rows = []
        try:
            for m in artifact.meta["measurements"]:
                placed = {**base, "round": m["round"], **densities.get(m["round"], dict.fromkeys(DENSITIES))}
                if not m.get("exact", True):
                    placed["exact"] = False
                metric = f"{name}/{m['metric']}"
                rows.append(_row(placed, metric, m["split"], m["value"], m["unit"], m["position"], "ok"))
        except (KeyError, TypeError, ValueError):
            # An earlier version kept what an analysis gave without a look at it. It costs this row and no other.
            rows = [_row({**base, "round": None, **dict.fromkeys(DENSITIES)}, name, "", None, "", "", "failed")]
        yield from rows


def _smallest(points: Mapping[int, Mapping[str, float | None]], name: str) -> int:
    """The first iteration with the smallest number; one that is not finite is larger than all others."""
    return min((math.inf if (value := point[name]) is None else value, at) for at, point in points.items())[1]


def _row(
    base: Mapping[str, Any], metric: str, split: str, value: float | None, unit: str, position: str, outcome: Outcome
) -> Row:
    measured = {"metric": metric, "split": split, "value": value, "unit": unit, "outcome": outcome}
    return Row.model_validate({**base, "position": position, **measured})
