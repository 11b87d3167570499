"""What stands behind the rows: curves, layers and addresses of evaluated tickets, figures of analyses."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from typing import Any

from prunebench.api.planning import Evaluation, Ref
from prunebench.plan.trial import Plan, Trial
from prunebench.results.outputs import Outputs


def details_of(plan: Plan, outputs: Outputs) -> list[dict[str, Any]]:
    """A line for each evaluated ticket and each analysis of a plan, in the order of its file.

    Raises:
        LostArtifact: an output is gone or corrupt.
    """
    reader = _Reader(outputs)
    return [line for trial in plan.trials for line in reader.trial(trial)]


class _Reader:
    def __init__(self, outputs: Outputs) -> None:
        self.outputs = outputs

    def trial(self, trial: Trial) -> Iterator[dict[str, Any]]:
        base = {"entry": trial.entry, "model": trial.model, "data": trial.data, "seed": trial.seed}
        for evaluation in trial.evaluations:
            yield {**base, "kind": "evaluation", **self._evaluation(trial, evaluation)}
        for name, ref in trial.analyses:
            yield {**base, "kind": "analysis", "analysis": name, "key": ref.key, **self._analysis(ref)}

    def _evaluation(self, trial: Trial, evaluation: Evaluation) -> dict[str, Any]:
        mask, curve = self.outputs.get(evaluation.mask), self.outputs.get(evaluation.curve)
        kept = [layer.count for layer in trial.layers] if mask is None else mask.meta.get("counts")
        files: Mapping[str, bytes] = {} if curve is None else curve.files
        points = json.loads(files["curve.json"])["points"] if "curve.json" in files else []
        return {
            "round": evaluation.round,
            "draw": evaluation.draw,
            "key": evaluation.run.key,
            "start": evaluation.run.start,
            "stop": evaluation.run.stop,
            "layers": [
                {"name": layer.name, "units": layer.count, "kept": None if kept is None else kept[index]}
                for index, layer in enumerate(trial.layers)
            ],
            "curve": points,
            # One bit an image, the first in the highest: which test images the judged network has right.
            "hits": base64.b64encode(files["test.hits"]).decode() if "test.hits" in files else None,
            "artifacts": {
                "curve": evaluation.curve.address,
                "mask": None if evaluation.mask is None else evaluation.mask.address,
                "weights": evaluation.run.ticket.weights.address,
            },
        }

    def _analysis(self, ref: Ref) -> dict[str, Any]:
        artifact = self.outputs.get(ref)
        if artifact is None or "figures" not in artifact.meta:
            return {"figures": []}
        figures = artifact.meta["figures"]
        return {"figures": [{**figure, "svg": artifact.files[f"{figure['name']}.svg"].decode()} for figure in figures]}
