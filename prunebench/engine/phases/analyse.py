"""One analysis: measurements and figures of trained states."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from prunebench.api.errors import ContractError
from prunebench.api.measurements import Analysis, Figure, Measurement
from prunebench.api.problems import shortened
from prunebench.api.untrusted_text import printable
from prunebench.benchmark.bounds import ROUNDS
from prunebench.engine.phases.produced import Files, Produced
from prunebench.engine.workbench import Workbench
from prunebench.plan.specs import AnalyseSpec

MEASUREMENTS = 100_000
"""Numbers of one analysis at most."""
TEXT, CAPTION, SVG = 500, 5_000, 20_000_000
"""Characters at most: of a name, of a caption, of a picture."""
_FIGURE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


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
    places = set()
    for answer in answers:
        if not isinstance(answer, Analysis):
            raise ContractError(f"{who}: it returned {type(answer).__name__}, not an Analysis")
        for m in answer.measurements:
            measurements.append(_checked(m, who))
            place = (m.metric, m.round, m.position, m.split)
            if place in places:
                raise ContractError(f"{who}: it gives {m.metric} twice of one round, position and split")
            places.add(place)
            if len(measurements) > MEASUREMENTS:
                raise ContractError(f"{who}: it gives more than {MEASUREMENTS:,} numbers")
        for figure in answer.figures:
            _check_figure(figure, who)
            if f"{figure.name}.svg" in files:
                raise ContractError(f"{who}: it gives two figures with the name {figure.name!r}")
            files[f"{figure.name}.svg"] = figure.svg.encode()
            figures.append({"name": figure.name, "caption": figure.caption})
    return files, {"measurements": measurements, "figures": figures}


def _checked(m: object, who: str) -> dict[str, Any]:
    """A measurement as it is stored. Raises ContractError if a field of it is not what its type says."""
    if not isinstance(m, Measurement):
        raise ContractError(f"{who}: {type(m).__name__} among its measurements")
    for what, text in (("metric", m.metric), ("unit", m.unit), ("position", m.position), ("split", m.split)):
        _check_text(text, what, who)
    if isinstance(m.value, str | bool) or not hasattr(m.value, "__float__"):
        raise ContractError(f"{who}: {m.metric} is {type(m.value).__name__}, not a number")
    if not (m.round is None or (isinstance(m.round, int) and not isinstance(m.round, bool) and 0 <= m.round <= ROUNDS)):
        raise ContractError(f"{who}: {m.metric} is of round {m.round!r}, and rounds are whole numbers from 0")
    if not m.metric or not isinstance(m.exact, bool):
        raise ContractError(f"{who}: a measurement has a metric, and is exact or not")
    try:
        value = float(m.value)
    except OverflowError:
        value = math.inf
    if not math.isfinite(value):
        raise ContractError(f"{who}: {m.metric} of round {m.round} is {value}; leave it out instead")
    return vars(replace(m, value=value))


def _check_figure(figure: object, who: str) -> None:
    if not isinstance(figure, Figure):
        raise ContractError(f"{who}: {type(figure).__name__} among its figures")
    if not isinstance(figure.name, str) or not _FIGURE_NAME.fullmatch(figure.name):
        raise ContractError(
            f'{who}: a figure is named with at most 100 letters, digits, "_", "-" and ".", not {shortened(figure.name)}'
        )
    _check_text(figure.caption, f"caption of figure {figure.name}", who, CAPTION)
    if not isinstance(figure.svg, str) or len(figure.svg) > SVG:
        raise ContractError(f"{who}: figure {figure.name} is no SVG text of at most {SVG:,} characters")


def _check_text(text: object, what: str, who: str, most: int = TEXT) -> None:
    if not isinstance(text, str) or len(text) > most or printable(text, most) != text or "\n" in text:
        raise ContractError(f"{who}: the {what} is no printable text of at most {most:,} characters: {shortened(text)}")
