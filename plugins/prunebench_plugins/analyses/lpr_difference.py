"""Layerwise pruning ratios (LPR) of two entries: how differently they spread one density over the layers.

Source: "Uncovering the impact of hyperparameters for global magnitude pruning" 2020, section 3.4, figures 5 and 8.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, EntryRef, Figure, Measurement, PlanError, hookimpl
from prunebench.api.info import Layer
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs, Optimum
from prunebench_plugins.analyses import _figures

if TYPE_CHECKING:
    from prunebench.api.masks import Units
    from prunebench.api.planning import Needs, Request


class LprDifferenceConfig(ComponentConfig):
    """`to`: the entry whose tickets are compared with this one's, round by round."""

    to: EntryRef = Field(examples=["imp"])


class LprDifference:
    """Compares the masks of two entries of one model, layer by layer."""

    def __init__(self, config: LprDifferenceConfig) -> None:
        self._to = config.to

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The tickets of both entries, of all rounds that both have.

        Raises:
            PlanError: the other entry prunes other layers, or they have no pruned round in common.
        """
        from prunebench.api.planning import Needs

        theirs = request.other(self._to)
        if theirs.model.layers != request.chain.model.layers:
            raise PlanError(
                f'lpr-difference: entry "{self._to}" prunes other layers; give both the same model and units'
            )
        pairs = [(a, b) for a, b in zip(request.tickets, theirs.tickets, strict=False) if a.round]
        if not pairs:
            raise PlanError(f'lpr-difference: no round is pruned both here and in entry "{self._to}"')
        return Needs({"ours": [a for a, _ in pairs], "theirs": [b for _, b in pairs]})

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, units: Units) -> Analysis:
        """`largest` and `mean` over layers of the absolute difference of the fractions pruned, and `LAYER` by round.

        A layer's own difference is this entry's fraction minus the other's.
        """
        rounds, rows = [], []
        for ours, theirs in zip(inputs["ours"], inputs["theirs"], strict=True):
            rounds.append(ours.round)
            pairs = zip(pruned(units.layers, ours), pruned(units.layers, theirs), strict=True)
            rows.append([a - b for a, b in pairs])
        measurements = []
        for round, row in zip(rounds, rows, strict=True):
            sizes = [abs(difference) for difference in row]
            measurements += [
                Measurement("largest", max(sizes), "fraction", round=round),
                Measurement("mean", sum(sizes) / len(sizes), "fraction", round=round),
            ]
            measurements += [
                Measurement(f"difference/{layer.name}", difference, "fraction", round=round)
                for layer, difference in zip(units.layers, row, strict=True)
            ]
        return Analysis(tuple(measurements), (figure(units.layers, rounds, rows, self._to),))


def pruned(layers: Sequence[Layer], ticket: Optimum) -> list[float]:
    """The fraction pruned of each layer."""
    if ticket.mask is None:
        return [0.0] * len(layers)
    return [1 - count / layer.count for count, layer in zip(ticket.mask.counts, layers, strict=True)]


def figure(layers: Sequence[Layer], rounds: Sequence[int], rows: Sequence[Sequence[float]], to: str) -> Figure:
    """A line for each round over the layers, from the first layer to the last."""
    picture = _figures.canvas(7.0, 3.8)
    axes = picture.add_subplot()
    places = range(len(layers))
    shown = _figures.evenly(len(rounds), 6)
    for index, colour in zip(shown, _figures.in_order(len(shown)), strict=True):
        axes.plot(places, rows[index], marker=".", color=colour, label=f"round {rounds[index]}")
    axes.axhline(0, color="black", linewidth=0.8)
    named = _figures.evenly(len(layers), 12)
    axes.set_xticks(named, [layers[i].name.removesuffix(".weight") for i in named], rotation=40, ha="right", fontsize=8)
    axes.set_ylabel("difference of the fraction pruned")
    axes.grid(alpha=0.3)
    _figures.legend_below(picture, axes)
    caption = f'What of each layer this entry prunes more than entry "{to}" does, as a difference of fractions.'
    return Figure("lpr-difference", _figures.to_svg(picture, "lpr-difference"), caption)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `lpr-difference`."""
    paper = "Uncovering the impact of hyperparameters for global magnitude pruning 2020, section 3.4"
    yield Component("lpr-difference", LprDifferenceConfig, LprDifference, version=1, paper=paper)
