"""Trials and the plan that they make together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from prunebench.api.info import Coverage, Layer
from prunebench.api.planning import Evaluation, Ref
from prunebench.api.task import Metrics
from prunebench.plan.curves import CurveSpec
from prunebench.plan.phases import Phase


@dataclass(frozen=True, eq=False)
class Trial:
    """One entry on one model, data set and seed, with what is read off it."""

    entry: str
    model: str
    data: str
    seed: int
    units: int
    parameters: int
    layers: tuple[Layer, ...]
    metrics: Metrics
    evaluations: tuple[Evaluation, ...]
    analyses: tuple[tuple[str, Ref], ...]
    finds: frozenset[str]
    """Keys of the training runs that lead to its tickets."""
    note: str = ""
    coverage: Coverage | None = None
    """What its units reach of the network."""
    weights_note: str = ""
    """Where the first weights come from, if they were published with the network or unwrapped."""
    units_kind: str = ""
    """The component that its units are of."""


@dataclass(frozen=True)
class LeftOut:
    """An entry that has no plan on one model and data set, though the file is right; and why."""

    entry: str
    model: str
    data: str
    seeds: tuple[int, ...]
    why: str


@dataclass(frozen=True)
class Plan:
    """Everything that a benchmark asks for: phases by key, the outputs wanted of each, and the trials."""

    phases: Mapping[str, Phase]
    trials: tuple[Trial, ...]
    curves: Mapping[str, CurveSpec]
    """How each curve is measured, by the digest in its Ref."""
    wanted: Mapping[str, frozenset[Ref]]
    """For each phase that the results rest on, the outputs that they read."""
    naive_runs: int
    left_out: tuple[LeftOut, ...] = ()
    also: tuple[Ref, ...] = ()
    """Outputs that are wanted beside what the results are read off."""
    alongside: Mapping[str, Ref] = field(default_factory=dict)
    """An output for some training runs, by key, that is made where the run has to be trained anyway."""

    @property
    def sinks(self) -> Iterator[Ref]:
        """What the results are read off, and what else is wanted."""
        yield from self.also
        for trial in self.trials:
            for evaluation in trial.evaluations:
                yield evaluation.curve
                if evaluation.mask is not None:
                    yield evaluation.mask
            for _, ref in trial.analyses:
                yield ref

    def coverages(self) -> Iterator[tuple[Trial, Coverage]]:
        """What units reach of each network that is pruned, once for each kind of units, with a trial of them."""
        seen = set()
        for trial in self.trials:
            what = (trial.model, trial.data, trial.units_kind, trial.coverage)
            if trial.coverage is not None and any(one.round for one in trial.evaluations) and what not in seen:
                seen.add(what)
                yield trial, trial.coverage

    @property
    def runs(self) -> list[Phase]:
        """The distinct training runs."""
        return [self.phases[key] for key in self.wanted if self.phases[key].kind == "train"]
