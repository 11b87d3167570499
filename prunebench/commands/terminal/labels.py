"""What to call a phase: the entries that it serves, its round and its seed."""

from __future__ import annotations

from collections import defaultdict

from prunebench.commands.counted_nouns import counted
from prunebench.plan.phases import Phase, spec_of
from prunebench.plan.specs import (
    AnalyseSpec,
    EditSpec,
    InitSpec,
    JointPruneSpec,
    LoadSpec,
    PruneSpec,
    TrainSpec,
)
from prunebench.plan.trial import Plan, Trial


def labels_of(plan: Plan) -> dict[str, str]:
    """A short name for every training run that judges or finds a ticket; it says how many entries share the run."""
    first: dict[str, tuple[Trial, str]] = {}
    sharing: dict[str, set[str]] = defaultdict(set)
    several = len({(trial.model, trial.data) for trial in plan.trials}) > 1
    for trial in plan.trials:
        for evaluation in trial.evaluations:
            draw = f", draw {evaluation.draw}" if evaluation.draw else ""
            first.setdefault(evaluation.run.key, (trial, f"round {evaluation.round}, seed {trial.seed}{draw}"))
            sharing[evaluation.run.key].add(trial.entry)
        for key in trial.finds:
            streams = spec_of(plan.phases, key, TrainSpec).streams
            first.setdefault(key, (trial, f"find round {streams.round}, seed {streams.seed}"))
            sharing[key].add(trial.entry)
    return {key: _label(trial, rest, len(sharing[key]) - 1, several) for key, (trial, rest) in first.items()}


def label_of(phase: Phase) -> str:
    """What to call a phase that no trial names: what it is and its seed, which the weights of a file do not have."""
    spec = phase.spec
    match spec:
        case LoadSpec():
            return "first weights from a file"
        case InitSpec():
            return f"first weights, seed {spec.streams.seed}"
        case TrainSpec():
            twin = f", twin {spec.streams.twin}" if spec.streams.twin else ""
            what = "training that an analysis reads"
            return f"{what}, round {spec.streams.round}, seed {spec.streams.seed}{twin}"
        case AnalyseSpec():
            return f"analysis {spec.analysis.use}, seed {spec.streams.seed}"
        case PruneSpec():
            what = f"pruning by {spec.score.use}"
        case JointPruneSpec():
            what = f"pruning by {spec.prune.use}"
        case EditSpec():
            what = f"{spec.edit.use} of a ticket"
    return f"{what}, round {spec.streams.round}, seed {spec.streams.seed}"


def _label(trial: Trial, rest: str, others: int, several: bool) -> str:
    shared = "" if not others else f" and {counted(others, 'other entry')}"
    where = f", {trial.model} on {trial.data}" if several else ""
    return f"{trial.entry}{shared}{where}, {rest}"
