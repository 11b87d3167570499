"""Whether a network gives finite numbers before anything trained it, with the weights that its runs start from.

A run whose first loss is NaN is an outcome, "diverged", after hours in a queue; here it is known beforehand.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import version

import torch
from torch import Tensor, nn

from prunebench.api import keys
from prunebench.api.data import Gather
from prunebench.api.errors import PrunebenchError
from prunebench.api.task import Task
from prunebench.components.containment import contained
from prunebench.components.time_limit import limited
from prunebench.engine.phases.initial import first_weights
from prunebench.engine.workbench import Workbench, head_of, shape_of
from prunebench.plan.json_values import to_json
from prunebench.plan.phases import spec_of
from prunebench.plan.specs import InitSpec, LoadSpec, TrainSpec
from prunebench.plan.trial import Plan, Trial

FEW = 4
"""Examples of a batch: norm layers refuse one alone, and what is not finite for a few is not for more."""


@dataclass(frozen=True)
class _Start:
    """Where runs start: first weights, and what they train with."""

    model: str
    data: str
    weights: InitSpec | LoadSpec
    run: TrainSpec

    @property
    def name(self) -> str:
        """What the answer is kept under; it depends on no seed but the first one's."""
        parts = [to_json(self.weights), to_json(self.run.data), to_json(self.run.task), self.run.recipe.label_smoothing]
        return "finite-" + keys.digest([*parts, {package: version(package) for package in ("torch", "timm")}])


def not_finite(plan: Plan, workbench: Workbench) -> Iterator[str]:
    """For each network on each data set whose first outputs or losses are not finite, a sentence.

    Made-up inputs are tried first. A network may rightly give NaN for what no data set holds, so then the first
    training examples decide.
    """
    for start in _starts(plan):
        if workbench.store.cached_json(start.name) is not None:
            continue
        who = f'model "{start.model}" on data "{start.data}"'
        try:
            with contained(who):
                why = limited(lambda start=start: _why_not_finite(start, workbench))  # type: ignore[misc]
        except PrunebenchError as error:
            yield str(error)
            continue
        if why:
            yield f"{who}: {why}"
        else:
            workbench.store.put_json(start.name, {"finite": True})


def _starts(plan: Plan) -> Iterable[_Start]:
    """The starts of the first seed, each once: of other seeds the same network draws other numbers alone."""
    found: dict[str, _Start] = {}
    first = min((trial.seed for trial in plan.trials), default=0)
    for trial in plan.trials:
        if trial.seed == first:
            for start in _starts_of(trial, plan):
                found.setdefault(start.name, start)
    return found.values()


def _starts_of(trial: Trial, plan: Plan) -> Iterator[_Start]:
    for key in [*sorted(trial.finds), *(one.run.key for one in trial.evaluations)]:
        run = spec_of(plan.phases, key, TrainSpec)
        weights = plan.phases[run.weights.key].spec
        if run.mask is None and isinstance(weights, InitSpec | LoadSpec):
            yield _Start(trial.model, trial.data, weights, run)


def _why_not_finite(start: _Start, workbench: Workbench) -> str:
    run = start.run
    model = workbench.model(run.model, first_weights(start.weights, workbench))
    state = {name: value.clone() for name, value in model.state_dict().items()}
    for name, value in model.named_parameters():  # a buffer may well hold -inf, as a mask of attention
        if not value.isfinite().all():
            file = start.weights.weights
            if file is not None and name not in head_of(model, run.model):
                return f'"{name}" is not finite in {file.file}; load other weights'
            return (
                f'"{name}" is not finite before any training; let its constructor set every value, or name an `init` '
                "that does"
            )
    task = workbench.task(run.task, run.recipe.label_smoothing)
    example = task.example(shape_of(run.model))
    inputs = example.expand(FEW, *example.shape[1:])
    if inputs.is_floating_point():
        inputs = torch.randn(inputs.shape, generator=torch.Generator().manual_seed(0), dtype=inputs.dtype)
    targets = None if task.targets is None else task.targets(shape_of(run.model))
    if targets is not None:
        targets = targets.expand(FEW, *targets.shape[1:])
    if not _bad(model, task, inputs.contiguous(), targets):
        return ""
    model.load_state_dict(state)  # norm layers have seen what there is not
    data = workbench.data(run.data, start.weights.streams.seed if isinstance(start.weights, InitSpec) else 0)
    examples = Gather(torch.arange(min(FEW, data["train"].size)))
    real = task.batch(*next(iter(data["train"].batches([examples]))))
    bad = _bad(model, task, *real)
    return bad and (
        f"{bad} for the first {FEW} training examples, with the weights that its runs start from; look for a division "
        "by zero, a logarithm or a root of what is not positive, or a scale that overflows float32"
    )


@torch.no_grad()
def _bad(model: nn.Module, task: Task, inputs: Tensor, targets: Tensor | None) -> str:
    """What is not finite: outputs in evaluation or in training, or the objective; empty if nothing."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for training in (False, True):
            outputs = model.train(training)(inputs.clone())
            where = "training" if training else "evaluation"
            if isinstance(outputs, Tensor) and not outputs.isfinite().all():
                return f"its outputs in {where} are not finite ({_shown(outputs)})"
        if targets is not None:
            loss = task.objective(outputs, targets)
            if not loss.isfinite():
                return f"its loss is {loss.item():g}"
    return ""


def _shown(outputs: Tensor) -> str:
    odd = outputs[~outputs.isfinite()]
    kinds = {"nan": odd.isnan(), "inf": odd == torch.inf, "-inf": odd == -torch.inf}
    return ", ".join(
        f"{int(which.sum()):,} of {outputs.numel():,} are {name}" for name, which in kinds.items() if which.any()
    )
