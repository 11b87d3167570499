"""Pruning thresholds: how large the weights are that each round removes.

With `runs = "judged"`, the optimum of each judged round r - 1 (draw 0; of round 0, the dense network's run under the
same recipe) is pruned to round r by the entry's own score and selection. Where the recipes of finding and judging are
equal and the tickets are not edited, that is the very pruning that made the ticket of round r; for an entry that judges
edited tickets, such as reinitialised ones, it is what the same rule would remove of the optimum that they train to.
With `runs = "find"` it is what was removed: of the end of the run that was last trained before the ticket was cut, the
weights that this run kept and the ticket does not.

A threshold has two sides, the largest magnitude that is removed and the smallest that is kept. For a global cut by
magnitude nothing lies between them; for other scores and selections they may lie the other way round.

Source: Maene et al. 2021, section 4.2, figures 6 and 7.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from prunebench import Component, ComponentConfig, Figure, Measurement, PlanError, hookimpl
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs, Optimum
from prunebench_plugins.analyses import _figures, _optima, _weights

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

    from prunebench.api.masks import Units
    from prunebench.api.planning import Needs, Request

SIDES = {"largest_removed": ("largest removed", "-"), "smallest_kept": ("smallest kept", ":")}


class ThresholdConfig(ComponentConfig):
    """`runs`: whether the ends of the runs that judge tickets are pruned, or those of the runs that find them."""

    runs: Literal["judged", "find"] = "judged"


class Threshold:
    """Compares the magnitudes on both sides of a cut."""

    def __init__(self, config: ThresholdConfig) -> None:
        self._runs = config.runs

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The states that are pruned, with the mask before and the mask after.

        Raises:
            PlanError: the entry does not prune trained states.
        """
        from dataclasses import replace

        from prunebench.api.planning import Needs

        chain = request.chain
        if chain.rounds == 0:
            raise PlanError("threshold: the entry prunes nothing; ask it of one with a schedule")
        before, after = [], []
        if self._runs == "judged":
            for round, run in _optima.judged_runs(request).items():
                if round < chain.rounds:
                    before.append(replace(run.optimum, round=round + 1))
                    after.append(replace(before[-1], mask=chain.prune(run, round + 1).mask))
        else:
            if not request.optima:
                raise PlanError('threshold: the schedule has no find run; state `runs = "judged"`')
            for ticket in chain.tickets[1:]:
                trained = [point for point in request.optima if point.round < ticket.round]
                before.append(replace(trained[-1], round=ticket.round))
                after.append(replace(before[-1], mask=ticket.mask))
        return Needs({"before": before, "after": after})

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, units: Units) -> Analysis:
        """`largest_removed` and `smallest_kept` for each round, of all layers, and each with `/LAYER` of one.

        Absent where nothing is removed, or nothing kept.
        """
        found: dict[int, Mapping[str, float]] = {}
        layers = list(_weights.kept_weights(units, None))
        for before, after in zip(inputs["before"], inputs["after"], strict=True):
            found[after.round] = sides(before, after, units)
        measurements = tuple(
            Measurement(metric, value, round=round) for round, row in found.items() for metric, value in row.items()
        )
        return Analysis(measurements, (figure(found, layers),))


def sides(before: Optimum, after: Optimum, units: Units) -> dict[str, float]:
    """The largest magnitude of what one mask keeps and the other does not, the smallest of what both keep."""
    import torch

    alive, kept = _weights.kept_weights(units, before.mask), _weights.kept_weights(units, after.mask)
    removed, stayed = {}, {}
    for name, keep in kept.items():
        sizes = before.weights[name].cpu().abs()
        removed[name], stayed[name] = sizes[alive[name] & ~keep], sizes[alive[name] & keep]

    def reach(metric: str, values: Mapping[str, Tensor], end: str) -> dict[str, float]:
        whole = {metric: torch.cat(list(values.values())), **{f"{metric}/{n}": v for n, v in values.items()}}
        return {name: float(getattr(v, end)()) for name, v in whole.items() if v.numel()}

    return {**reach("largest_removed", removed, "max"), **reach("smallest_kept", stayed, "min")}


def figure(found: Mapping[int, Mapping[str, float]], layers: Sequence[str]) -> Figure:
    """Both sides of the whole network's threshold, and the largest magnitude that is removed of each layer."""
    from matplotlib.ticker import MaxNLocator

    picture = _figures.canvas(9.6, 3.8)
    left, right = picture.subplots(1, 2, sharex=True)
    for metric, (label, style) in SIDES.items():
        line(left, found, metric, label=f"{label}, all layers", color="black", linestyle=style)
    for layer, colour in zip(layers, _figures.in_order(len(layers)), strict=True):
        line(right, found, f"largest_removed/{layer}", label=layer, color=colour)
    left.set_ylabel("magnitude")
    right.set_ylabel("largest magnitude removed of the layer")
    for axes in (left, right):
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("round")
        if len(found) == 1:
            axes.set_xlim(min(found) - 1, min(found) + 1)
        axes.grid(alpha=0.3)
    left.legend(fontsize="small")
    _figures.name_layers(picture, right, layers)
    caption = "Largest magnitude that each round removes and smallest that it keeps, of all layers and of each."
    return Figure("threshold", _figures.to_svg(picture, "threshold"), caption)


def line(axes: Axes, found: Mapping[int, Mapping[str, float]], metric: str, **style: Any) -> None:
    """One metric over the rounds that have it."""
    points = [(round, row[metric]) for round, row in sorted(found.items()) if metric in row]
    axes.plot([round for round, _ in points], [value for _, value in points], marker=".", **style)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `threshold`."""
    paper = "Maene et al. 2021, section 4.2"
    yield Component("threshold", ThresholdConfig, Threshold, version=1, paper=paper)
