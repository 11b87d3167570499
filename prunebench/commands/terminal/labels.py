"""What to call a phase: the first trial that it serves."""

from __future__ import annotations

from prunebench.plan.phases import Phase, spec_of
from prunebench.plan.specs import LoadSpec, TrainSpec
from prunebench.plan.trial import Plan


def labels_of(plan: Plan) -> dict[str, str]:
    """A short name for every training run of a plan: entry, round, seed."""
    labels: dict[str, str] = {}
    for trial in plan.trials:
        for evaluation in trial.evaluations:
            draw = f", draw {evaluation.draw}" if evaluation.draw else ""
            labels.setdefault(evaluation.run.key, f"{trial.entry}, round {evaluation.round}, seed {trial.seed}{draw}")
        for key in trial.finds:
            streams = spec_of(plan.phases, key, TrainSpec).streams
            labels.setdefault(key, f"{trial.entry}, find round {streams.round}, seed {streams.seed}")
    return labels


def label_of(phase: Phase) -> str:
    """What to call a phase that no trial names: its kind and its seed, which the weights of a file do not have."""
    spec = phase.spec
    return phase.kind if isinstance(spec, LoadSpec) else f"{phase.kind}, seed {spec.streams.seed}"
