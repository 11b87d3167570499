"""Layerwise pruning ratios (LPR): how much of each layer lives after each round.

Source: "Uncovering the impact of hyperparameters for global magnitude pruning" 2020, section 3.4.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, Figure, Measurement, hookimpl
from prunebench.api.info import Layer
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs
from prunebench_plugins.analyses import _figures

if TYPE_CHECKING:
    from prunebench.api.masks import Mask, Units
    from prunebench.api.planning import Needs, Request


class LayerDensities:
    """Reads the masks of an entry's tickets."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The entry's tickets of all rounds, as they are judged."""
        from prunebench.api.planning import Needs

        return Needs({"tickets": request.tickets})

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, units: Units) -> Analysis:
        """`layer_density/NAME` for each layer and round: the fraction of the layer's units that is kept."""
        tickets = sorted(inputs["tickets"], key=lambda ticket: ticket.round)
        rounds = [ticket.round for ticket in tickets]
        kept = [densities(units.layers, ticket.mask) for ticket in tickets]
        measurements = tuple(
            Measurement(f"layer_density/{layer.name}", density, "fraction", round=round)
            for round, row in zip(rounds, kept, strict=True)
            for layer, density in zip(units.layers, row, strict=True)
        )
        return Analysis(measurements, (figure(units.layers, rounds, kept),) if tickets else ())


def densities(layers: Sequence[Layer], mask: Mask | None) -> list[float]:
    """The fraction kept of each layer; 1 while nothing has been pruned."""
    if mask is None:
        return [1.0] * len(layers)
    return [count / layer.count for count, layer in zip(mask.counts, layers, strict=True)]


def figure(layers: Sequence[Layer], rounds: Sequence[int], kept: Sequence[Sequence[float]]) -> Figure:
    """A line per layer over the rounds, coloured by depth; the whole network dashed."""
    from matplotlib.ticker import MaxNLocator

    picture = _figures.canvas(7.0, 4.2)
    axes = picture.add_subplot()
    for index, colour in enumerate(_figures.in_order(len(layers))):
        line = [row[index] for row in kept]
        axes.plot(rounds, line, marker=".", color=colour, label=layers[index].name)
    units = sum(layer.count for layer in layers)
    whole = [sum(d * layer.count for d, layer in zip(row, layers, strict=True)) / units for row in kept]
    axes.plot(rounds, whole, color="black", linestyle="--", label="all")
    # A layer without units has no logarithm: clipped, its line leaves through the bottom.
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(min((d for row in kept for d in row if d > 0), default=1.0) / 1.5, 1.15)
    axes.yaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_xlabel("round")
    axes.set_ylabel("density of the layer")
    axes.grid(alpha=0.3)
    _figures.name_layers(picture, axes, [layer.name for layer in layers])
    lost = [layer.name for index, layer in enumerate(layers) if kept[-1][index] == 0]
    caption = f"Density of each of {len(layers)} layers after each round; dashed: the whole network."
    if lost:
        caption += f" No unit is left in {', '.join(lost)}."
    return Figure("layer-densities", _figures.to_svg(picture, "layer-densities"), caption)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `layer-densities`."""
    paper = "Uncovering the impact of hyperparameters for global magnitude pruning, 2020"
    yield Component("layer-densities", ComponentConfig, LayerDensities, version=1, paper=paper)
