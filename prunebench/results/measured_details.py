"""What stands behind the rows: curves, layers and addresses of evaluated tickets, figures of analyses."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping

from prunebench.api.details import AnalysisDetail, Detail, EvaluationDetail, FigureDetail
from prunebench.api.planning import Evaluation, Ref
from prunebench.plan.trial import Plan, Trial
from prunebench.results.details import shared
from prunebench.results.outputs import Outputs


def details_of(plan: Plan, outputs: Outputs) -> list[Detail]:
    """A line for each evaluated ticket and each analysis of a plan, in the order of its file.

    Raises:
        LostArtifact: an output is gone or corrupt.
    """
    reader = _Reader(outputs)
    return shared(line for trial in plan.trials for line in reader.trial(trial))


class _Reader:
    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs

    def trial(self, trial: Trial) -> Iterator[Detail]:
        for evaluation in trial.evaluations:
            yield self._evaluation(trial, evaluation)
        for name, ref in trial.analyses:
            yield AnalysisDetail(
                kind="analysis",
                entry=trial.entry,
                model=trial.model,
                data=trial.data,
                seed=trial.seed,
                analysis=name,
                key=ref.key,
                figures=self._figures(ref),
            )

    def _evaluation(self, trial: Trial, evaluation: Evaluation) -> EvaluationDetail:
        mask, curve = self.outputs.get(evaluation.mask), self.outputs.get(evaluation.curve)
        kept = [layer.count for layer in trial.layers] if mask is None else mask.meta.get("counts")
        files: Mapping[str, bytes] = {} if curve is None else curve.files
        return EvaluationDetail.model_validate(
            {
                "kind": "evaluation",
                "entry": trial.entry,
                "model": trial.model,
                "data": trial.data,
                "seed": trial.seed,
                "round": evaluation.round,
                "draw": evaluation.draw,
                "key": evaluation.run.key,
                "start": evaluation.run.start,
                "stop": evaluation.run.stop,
                "layers": tuple(
                    {"name": layer.name, "units": layer.count, "kept": None if kept is None else kept[index]}
                    for index, layer in enumerate(trial.layers)
                ),
                "curve": () if curve is None or "curve.json" not in files else curve.points,
                "hits": base64.b64encode(files["test.hits"]).decode() if "test.hits" in files else None,
                "artifacts": {
                    "curve": evaluation.curve.address,
                    "mask": None if evaluation.mask is None else evaluation.mask.address,
                    "weights": evaluation.run.ticket.weights.address,
                },
            }
        )

    def _figures(self, ref: Ref) -> tuple[FigureDetail, ...]:
        artifact = self.outputs.get(ref)
        if artifact is None or "figures" not in artifact.meta:
            return ()
        try:
            return tuple(
                FigureDetail(**figure, svg=artifact.files[f"{figure['name']}.svg"].decode())
                for figure in artifact.meta["figures"]
            )
        except (KeyError, TypeError, ValueError):  # an earlier version kept figures without a look at them
            return ()
