"""Surviving initial values: how the weights that a ticket keeps were distributed when the network was drawn.

Source: Frankle & Carbin 2019, appendices F.1 and F.2, figures 15 and 16.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from prunebench import Component, Figure, Measurement, hookimpl
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs
from prunebench_plugins.analyses import _figures, _rounds, _weights

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.masks import Units
    from prunebench.api.planning import Needs, Request


class SurvivingInitialValuesConfig(_rounds.DrawnRoundsConfig):
    """`of`: the values that the trial's network was drawn with, or those that each ticket starts from.

    The two differ for tickets that are rewound to a later point, carried on or drawn anew. `rounds`: whose
    distributions are drawn, 0 for the dense network's; a few evenly chosen ones if left out. All rounds are measured.
    """

    of: Literal["network", "ticket"] = "network"


class SurvivingInitialValues:
    """Reads initial weights through the masks of an entry's tickets."""

    def __init__(self, config: SurvivingInitialValuesConfig) -> None:
        self._of, self._config = config.of, config

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The entry's tickets of all rounds as they are judged, with the weights that `of` names.

        Raises:
            PlanError: a round is to be drawn that the entry has not.
        """
        from prunebench.api.planning import Needs

        self._config.check("surviving-initial-values", (ticket.round for ticket in request.tickets))
        drawn = request.chain.dense.weights
        tickets = [t if self._of == "ticket" else t.replace(weights=drawn) for t in request.tickets]
        return Needs({"tickets": tickets})

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, units: Units) -> Analysis:
        """`mean`, `sd` and `mean_abs` of the surviving values of each round, of all layers and of each.

        A layer without survivors has none; the deviation is that of the values themselves (divided by n).
        """
        tickets = sorted(inputs["tickets"], key=lambda ticket: ticket.round)
        survivors = []
        for ticket in tickets:
            kept = _weights.kept_weights(units, ticket.mask)
            survivors.append({name: ticket.weights[name].double()[keep] for name, keep in kept.items()})
        rounds = [ticket.round for ticket in tickets]
        measurements = [
            measurement
            for round, layers in zip(rounds, survivors, strict=True)
            for measurement in measured(layers, round)
        ]
        return Analysis(tuple(measurements), (figure(rounds, survivors, self._config.rounds),) if tickets else ())


def measured(layers: dict[str, Tensor], round: int) -> Iterable[Measurement]:
    """The three numbers of all survivors of a round, then those of each layer."""
    import torch

    everything = torch.cat(list(layers.values()))
    for suffix, values in (("", everything), *((f"/{name}", values) for name, values in layers.items())):
        if values.numel():
            yield Measurement(f"mean{suffix}", float(values.mean()), round=round)
            yield Measurement(f"sd{suffix}", float(values.std(correction=0)), round=round)
            yield Measurement(f"mean_abs{suffix}", float(values.abs().mean()), round=round)


def figure(
    rounds: Sequence[int], survivors: Sequence[dict[str, Tensor]], stated: Sequence[int] | None = None
) -> Figure:
    """A panel per layer, the distributions of the stated rounds, or of some, over each other."""
    every = list(survivors[0])
    names = [every[i] for i in _figures.evenly(len(every), _figures.PANELS)]
    chosen = _figures.evenly(len(rounds), _figures.PANELS)
    if stated is not None:
        chosen = [index for index, round in enumerate(rounds) if round in stated]
    picture = _figures.canvas(0.8 + 2.8 * len(names), 3.4)
    panels = picture.subplots(1, len(names), squeeze=False)[0]
    whole = [sum(values.numel() for values in layers.values()) for layers in survivors]
    for axes, name in zip(panels, names, strict=True):
        edges = _figures.edges_of([survivors[index][name].numpy() for index in chosen], 40)
        for index, colour in zip(chosen, _figures.in_order(len(chosen)), strict=True):
            label = f"round {rounds[index]}: density {whole[index] / whole[0]:.3f}"
            _figures.outline(axes, survivors[index][name].numpy(), edges, color=colour, label=label, linewidth=1.4)
        axes.set_ylim(bottom=0)
        _figures.panel(axes, name)
        axes.set_xlabel("initial value")
    panels[0].set_ylabel("density of the distribution")
    _figures.legend_below(picture, panels[0])
    caption = "Distribution of the initial values of the weights that survive, by layer, each normalised."
    svg = _figures.to_svg(picture, "surviving-initial-values")
    return Figure("surviving-initial-values", svg, caption + _figures.shown(names, every))


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `surviving-initial-values`."""
    name, paper = "surviving-initial-values", "Frankle & Carbin 2019, appendices F.1 and F.2"
    yield Component(name, SurvivingInitialValuesConfig, SurvivingInitialValues, version=1, paper=paper)
