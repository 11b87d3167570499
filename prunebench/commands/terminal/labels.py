"""What to call a phase: the first trial that it serves."""

from __future__ import annotations

from prunebench.plan.trial import Plan


def labels_of(plan: Plan) -> dict[str, str]:
    """A short name for every training run of a plan: entry, round, seed."""
    labels: dict[str, str] = {}
    for trial in plan.trials:
        for evaluation in trial.evaluations:
            draw = f", draw {evaluation.draw}" if evaluation.draw else ""
            labels.setdefault(evaluation.run.key, f"{trial.entry}, round {evaluation.round}, seed {trial.seed}{draw}")
        for key in trial.finds:
            streams = plan.phases[key].spec["streams"]
            labels.setdefault(key, f"{trial.entry}, find round {streams['round']}, seed {streams['seed']}")
    return labels
