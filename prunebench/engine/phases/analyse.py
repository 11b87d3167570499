"""One analysis: measurements and figures of trained states."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from prunebench.api.errors import ContractError
from prunebench.api.measurements import Analysis
from prunebench.engine.phases.produced import Files, Produced
from prunebench.engine.workbench import Workbench
from prunebench.plan.specs import AnalyseSpec


def analyse(spec: AnalyseSpec, workbench: Workbench) -> Produced:
    """What a component measures of the states that it asked for.

    Raises:
        ContractError: the analysis broke its hook's contract.
    """
    (component,), manager = workbench.manager(spec.analysis)
    inputs = workbench.inputs(spec.analysis)
    model = workbench.architecture(spec.model).to(workbench.device).eval()
    with workbench.lent(spec.data, spec.streams.seed, component, "prunebench_analyse") as data:
        answers = manager.hook.prunebench_analyse(
            inputs=inputs,
            model=model,
            data=data,
            task=workbench.task(spec.task),
            units=workbench.units(spec.units, spec.task, spec.model, model),
            rng=spec.streams.rng("analyse").child(component.name),
        )
    return {"analysis": _files(answers, f"analysis {component}")}


def _files(answers: Iterable[object], who: str) -> Files:
    files: dict[str, bytes] = {}
    measurements: list[dict[str, Any]] = []
    figures: list[dict[str, str]] = []
    for answer in answers:
        if not isinstance(answer, Analysis):
            raise ContractError(f"{who}: it returned {type(answer).__name__}, not an Analysis")
        for m in answer.measurements:
            if not math.isfinite(m.value):
                raise ContractError(f"{who}: {m.metric} of round {m.round} is {m.value}; leave it out instead")
            measurements.append(vars(replace(m, value=float(m.value))))
        for figure in answer.figures:
            files[f"{figure.name}.svg"] = figure.svg.encode()
            figures.append({"name": figure.name, "caption": figure.caption})
    return files, {"measurements": measurements, "figures": figures}
