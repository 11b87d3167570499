"""Connectivity: how many connections into and out of each neuron survive.

A neuron is a unit of a linear layer or a channel of a convolution. A weight tensor connects the neurons that it reads
to those that it writes: a neuron's incoming connections are counted where it is written, its outgoing ones where it is
read. A kernel of 3 x 3 is nine connections.

Source: Frankle & Carbin 2019, appendix F.6, figures 21 to 24.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prunebench import Component, Figure, Measurement, hookimpl
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs
from prunebench_plugins.analyses import _figures, _weights
from prunebench_plugins.analyses._rounds import DrawnRoundsConfig

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor, nn

    from prunebench.api.masks import Units
    from prunebench.api.planning import Needs, Request

SIDES = ("incoming", "outgoing")


class Connectivity:
    """Counts in the masks of an entry's tickets."""

    def __init__(self, config: DrawnRoundsConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The entry's tickets of all rounds, as they are judged.

        Raises:
            PlanError: a round is to be drawn that prunes nothing.
        """
        from prunebench.api.planning import Needs

        self._config.check("connectivity", (ticket.round for ticket in request.tickets if ticket.mask is not None))
        return Needs({"tickets": request.tickets})

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, model: nn.Module, units: Units) -> Analysis:
        """`incoming` and `outgoing`, each with `mean`, `sd`, `spread` and `none`, for each layer and round.

        `mean` and `sd` (divided by n) are of the connections of a neuron, `none` is the share of neurons without any.
        `spread` is sd / mean, which layers of any width and rounds of any density share; absent where nothing is kept.
        """
        tickets = sorted(inputs["tickets"], key=lambda ticket: ticket.round)
        rounds = [ticket.round for ticket in tickets]
        counted = [counts(_weights.kept_weights(units, ticket.mask), model) for ticket in tickets]
        measurements = [m for round, found in zip(rounds, counted, strict=True) for m in measured(found, round)]
        # Where nothing is pruned every neuron has all of its connections: nothing to draw.
        pruned = [(t.round, found) for t, found in zip(tickets, counted, strict=True) if t.mask is not None]
        full = counts(_weights.kept_weights(units, None), model)
        return Analysis(tuple(measurements), (figure(pruned, full, self._config.rounds),) if pruned else ())


Counts = Mapping[str, Mapping[str, "Tensor"]]
"""By side and layer, the surviving connections of each neuron."""


def counts(kept: Mapping[str, Tensor], model: nn.Module) -> Counts:
    """The connections that are kept into and out of each neuron of each layer."""
    found: dict[str, dict[str, Tensor]] = {side: {} for side in SIDES}
    for name, keep in kept.items():
        module = model.get_submodule(name.rpartition(".")[0])
        groups = getattr(module, "groups", 1)
        # One matrix for each group of channels that see only each other: written x read, over the kernel's places.
        per_group = keep.reshape(groups, keep.shape[0] // groups, keep.shape[1], -1).sum(-1)
        first, second = per_group.sum(2).flatten(), per_group.sum(1).flatten()
        if getattr(module, "transposed", False):
            first, second = second, first
        found["incoming"][name], found["outgoing"][name] = first, second
    return found


def measured(found: Counts, round: int) -> Iterator[Measurement]:
    """The numbers of each layer and side."""
    for side, layers in found.items():
        for name, connections in layers.items():
            values = connections.double()
            mean, sd = float(values.mean()), float(values.std(correction=0))
            yield Measurement(f"{side}/mean/{name}", mean, "connections", round)
            yield Measurement(f"{side}/sd/{name}", sd, "connections", round)
            if mean > 0:
                yield Measurement(f"{side}/spread/{name}", sd / mean, round=round)
            yield Measurement(f"{side}/none/{name}", float((values == 0).double().mean()), "fraction", round)


def figure(pruned: Sequence[tuple[int, Counts]], full: Counts, stated: Sequence[int] | None = None) -> Figure:
    """A row for each side, a panel per layer, the distributions of the stated rounds, or of some, over each other."""
    every = list(full["incoming"])
    names = [every[i] for i in _figures.evenly(len(every), _figures.PANELS)]
    chosen = [pruned[i] for i in _figures.evenly(len(pruned), _figures.PANELS)]
    if stated is not None:
        chosen = [(round, found) for round, found in pruned if round in stated]
    labels = [f"round {round}: density {total(found) / total(full):.3f}" for round, found in chosen]
    picture = _figures.canvas(0.8 + 2.8 * len(names), 5.4)
    panels = picture.subplots(2, len(names), squeeze=False, sharey=True)
    for row, side in zip(panels, SIDES, strict=True):
        for axes, name in zip(row, names, strict=True):
            for (_, found), label, colour in zip(chosen, labels, _figures.in_order(len(chosen)), strict=True):
                cumulative(axes, found[side][name] / full[side][name], color=colour, label=label)
            axes.set_xlim(left=0)
            _figures.panel(axes, name if side == "incoming" else "")
            axes.set_xlabel(f"share of {side} connections")
        row[0].set_ylabel("cumulative share of neurons")
    _figures.legend_below(picture, panels[0][0])
    svg = _figures.to_svg(picture, "connectivity")
    caption = "Share of the neurons of each layer that keep at most a share of their connections."
    return Figure("connectivity", svg, caption + _figures.shown(names, every))


def total(found: Counts) -> float:
    """Connections of all layers."""
    return float(sum(layer.sum() for layer in found["incoming"].values()))


def cumulative(axes: Axes, shares: Tensor, **style: Any) -> None:
    """The cumulative distribution as steps: unlike bins, it neither hides a spike nor needs many neurons."""
    import torch

    places, neurons = torch.unique(shares, return_counts=True)
    heights = neurons.cumsum(0) / neurons.sum()
    axes.step([places[0].item(), *places.tolist()], [0.0, *heights.tolist()], where="post", linewidth=1.4, **style)
    axes.set_ylim(0, 1.03)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `connectivity`."""
    paper = "Frankle & Carbin 2019, appendix F.6"
    yield Component("connectivity", DrawnRoundsConfig, Connectivity, version=2, paper=paper)
