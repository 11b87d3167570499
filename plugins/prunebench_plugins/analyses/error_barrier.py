"""Error barriers: how far the error rises on the straight line between the optima of successive rounds.

The optima are the ends of the runs that judge the entry's tickets (draw 0), and of the dense network's run under the
same recipe as round 0; "successive" is among the rounds that are judged. An entry with edited tickets is read the same
way: its optima are those of the edited tickets.

The path goes from the earlier optimum to the later one. A weight that the later mask removes goes straight to zero
along it (`mask = "own"`), or is removed from the earlier optimum beforehand (`mask = "later"`), so that the whole path
lies in the later network. The paper does not say which; its figure starts at the denser network itself.

Source: Maene et al. 2021, section 4.3, figures 8, 20 and 23, after Frankle et al. 2020, section 2.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from prunebench import Component, hookimpl
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs
from prunebench_plugins.analyses import _optima, _paths, _weights

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Units
    from prunebench.api.planning import Needs, Request
    from prunebench.api.task import Task


class ErrorBarrierConfig(_paths.PathConfig):
    """Where the error is measured along each path.

    `points`: evenly spaced places on it, the two ends among them. `mask`: whether the earlier optimum is the network
    that was trained, or what the later mask leaves of it. `split`: the images that the error is measured on, `images`
    of them, evenly spaced; all where it is not stated. `bn`: the running statistics of batch norm are interpolated like
    the weights, or taken anew at each point from 10,000 un-augmented, evenly spaced training images.
    """

    points: Annotated[int, Field(ge=3)] = 20
    mask: Literal["own", "later"] = "own"


class ErrorBarrier:
    """Walks from each optimum to the next."""

    def __init__(self, config: ErrorBarrierConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The optima of the dense network and of the judged rounds.

        Raises:
            PlanError: the entry has fewer than two.
        """
        from prunebench.api.planning import Needs

        return Needs({"optima": _optima.ends_of_judged_runs(request, "error-barrier")})

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, model: nn.Module, data: Data, task: Task, units: Units) -> Analysis:
        """`barrier` and `ends`, fractions of the split's images, at the later round of each pair.

        `barrier` is the largest error on the path over the mean error of its two ends, `ends` is that mean. Both ends
        are measured as points of the path, masked and recalibrated alike.
        """
        config, optima = self._config, inputs["optima"]
        walks: dict[int, tuple[str, _paths.Walk]] = {}
        for first, second in pairwise(range(len(optima))):
            earlier, later = optima[first], optima[second]
            start = earlier.weights
            if config.mask == "later":
                start = _weights.restricted(start, later.mask, units)
            path = _paths.walk(start, later.weights, config.points, model, data, task, config)
            walks[later.round] = (f"round {earlier.round} to {later.round}", path)
        caption = (
            f"{config.split.capitalize()} error on the straight line between the optima of successive rounds, and its "
            "largest rise over the mean of the two ends, at the later round."
        )
        return _paths.analysis("error-barrier", "barrier", walks, config.split, caption)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `error-barrier`."""
    paper = "Maene et al. 2021, section 4.3"
    yield Component("error-barrier", ErrorBarrierConfig, ErrorBarrier, version=1, paper=paper)
