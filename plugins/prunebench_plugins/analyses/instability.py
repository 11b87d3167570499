"""Instability: how far the error rises between two trainings of one ticket that differ in nothing but their noise.

The ticket is trained twice under the evaluation recipe, from the same weights: once as it is judged (draw 0), once with
the streams of a twin, which are another order of the images, another augmentation and other dropout. A ticket is stable
if the straight line between the two ends is one of low error. Each round that is asked for costs one further training.
Edited tickets are edited once, and both twins train what came of it.

Source: Frankle et al. 2020, "Linear mode connectivity and the lottery ticket hypothesis", section 2; Maene et al. 2021,
section 2.1, figure 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from prunebench import Component, PlanError, hookimpl
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs
from prunebench_plugins.analyses import _paths

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.data import Data
    from prunebench.api.planning import Needs, Request, TrainedPoint
    from prunebench.api.task import Task


class InstabilityConfig(_paths.PathConfig):
    """Which tickets, and where the error is measured along each path.

    `rounds`: of the tickets; all that are judged where it is not stated, and 0 is the dense network. `points`: evenly
    spaced places on the path, the two ends among them. `split`: the images that the error is measured on, `images` of
    them, evenly spaced; all where it is not stated. `bn`: the running statistics of batch norm are interpolated like
    the weights, or taken anew at each point from 10,000 un-augmented, evenly spaced training images.
    """

    rounds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1)] | None = None
    points: Annotated[int, Field(ge=3)] = 30


class Instability:
    """Walks from each run to its twin."""

    def __init__(self, config: InstabilityConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The ends of both runs of each ticket.

        Raises:
            PlanError: a round that the entry does not have.
        """

        from prunebench.api.planning import Needs

        assert request.evaluate is not None
        rounds, last = self._config.rounds, len(request.tickets) - 1
        if rounds is None:
            rounds = tuple(evaluation.round for evaluation in request.evaluations)
        if max(rounds) > last:
            there = f"rounds 0 to {last}" if last else "round 0 alone, the dense network's"
            raise PlanError(f"instability: there is no round {max(rounds)}; the entry has {there}")
        twins: dict[str, list[TrainedPoint]] = {"one": [], "other": []}
        for round in sorted(set(rounds)):
            for twin, points in enumerate(twins.values()):
                run = request.evaluate(request.tickets[round], twin)
                points.append(run.optimum)
        return Needs(twins)

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, model: nn.Module, data: Data, task: Task) -> Analysis:
        """`instability` and `ends`, fractions of the split's images, for each round.

        `instability` is the largest error on the path between the twins over the mean error of the two, `ends` is that
        mean.
        """
        config = self._config
        walks: dict[int, tuple[str, _paths.Walk]] = {}
        for one, other in zip(inputs["one"], inputs["other"], strict=True):
            path = _paths.walk(one.weights, other.weights, config.points, model, data, task, config)
            walks[one.round] = (f"round {one.round}", path)
        caption = (
            f"{config.split.capitalize()} error on the straight line between two trainings of one ticket that differ "
            "in their noise, and its largest rise over the mean of the two ends."
        )
        return _paths.analysis("instability", "instability", walks, config.split, caption)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `instability`."""
    paper = "Frankle et al. 2020, section 2; Maene et al. 2021, section 2.1"
    yield Component("instability", InstabilityConfig, Instability, version=1, paper=paper)
