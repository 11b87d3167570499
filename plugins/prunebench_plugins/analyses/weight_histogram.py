"""Weight histograms: how the surviving weights are distributed where judged runs end.

The states are the ends of the runs that judge the entry's tickets (draw 0) and, as round 0, of the dense network's run
under the same recipe. Only prunable weights that the run's mask keeps are counted.

Source: Maene et al. 2021, section 4.2, figures 5, 19 and 22.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from prunebench import Component, Figure, Measurement, hookimpl
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs, Optimum
from prunebench_plugins.analyses import _figures, _optima, _rounds, _weights

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.masks import Units
    from prunebench.api.planning import Needs, Request

WHOLE = "all layers"


class WeightHistogramConfig(_rounds.DrawnRoundsConfig):
    """`near`: a weight is near zero if it is smaller than this share of the mean magnitude of its group.

    `rounds`: whose distributions are drawn, 0 for the dense network's; a few evenly chosen ones if left out. All judged
    rounds are measured.
    """

    near: Annotated[float, Field(gt=0)] = 0.2


class WeightHistogram:
    """Reads the surviving weights of optima."""

    def __init__(self, config: WeightHistogramConfig) -> None:
        self._near, self._config = config.near, config

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The optima of the dense network and of the judged rounds.

        Raises:
            PlanError: a round is to be drawn that is not judged.
        """
        from dataclasses import replace

        from prunebench.api.planning import Needs

        runs = _optima.judged_runs(request)
        self._config.check("weight-histogram", runs)
        return Needs({"optima": [replace(run.optimum, round=round) for round, run in runs.items()]})

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, units: Units) -> Analysis:
        """`mean_abs`, `sd` and `near_zero` of the survivors of each round; with `/LAYER` those of one layer.

        `mean_abs` is the mean magnitude, `sd` the deviation of the values themselves (divided by n), `near_zero` the
        share of them that is smaller than `near` times `mean_abs`. A layer without survivors has none of them.
        """
        optima = inputs["optima"]
        evenly = _figures.evenly(len(optima), _figures.PANELS)
        drawn = self._config.rounds or [optima[index].round for index in evenly]
        measurements: list[Measurement] = []
        chosen: dict[int, Mapping[str, Tensor]] = {}
        for optimum in optima:
            survivors = surviving(optimum, units)
            measurements += measured(survivors, self._near, optimum.round)
            if optimum.round in drawn:
                chosen[optimum.round] = survivors
        return Analysis(tuple(measurements), (figure(chosen, units),))


def surviving(optimum: Optimum, units: Units) -> dict[str, Tensor]:
    """The surviving weights of all layers, then of each."""
    import torch

    kept = _weights.kept_weights(units, optimum.mask)
    layers = {name: optimum.weights[name].cpu()[keep] for name, keep in kept.items()}
    return {WHOLE: torch.cat(list(layers.values())), **layers}


def measured(survivors: Mapping[str, Tensor], near: float, round: int) -> Iterator[Measurement]:
    """The three numbers of each group that has survivors."""
    for group, stored in survivors.items():
        if stored.numel():
            values = stored.double()
            suffix = "" if group == WHOLE else f"/{group}"
            size = values.abs().mean()
            yield Measurement(f"mean_abs{suffix}", float(size), round=round)
            yield Measurement(f"sd{suffix}", float(values.std(correction=0)), round=round)
            share = (values.abs() < near * size).double().mean()
            yield Measurement(f"near_zero{suffix}", float(share), "fraction", round)


def figure(chosen: Mapping[int, Mapping[str, Tensor]], units: Units) -> Figure:
    """All layers and some of them, a panel each, the distributions of some rounds over each other."""
    layers = list(_weights.kept_weights(units, None))
    shown = [layers[i] for i in _figures.evenly(len(layers), _figures.PANELS - 1)]
    groups = [WHOLE, *shown] if len(layers) > 1 else [WHOLE]
    whole = sum(keep.numel() for keep in _weights.kept_weights(units, None).values())
    picture = _figures.canvas(0.8 + 2.8 * len(groups), 3.4)
    panels = picture.subplots(1, len(groups), squeeze=False)[0]
    for axes, group in zip(panels, groups, strict=True):
        edges = _figures.edges_of([survivors[group].double().numpy() for survivors in chosen.values()], 60)
        for (round, survivors), colour in zip(chosen.items(), _figures.in_order(len(chosen)), strict=True):
            label = f"round {round}: density {survivors[WHOLE].numel() / whole:.3f}"
            values = survivors[group].double().numpy()
            _figures.outline(axes, values, edges, color=colour, label=label, linewidth=1.4)
        axes.set_ylim(bottom=0)
        _figures.panel(axes, group)
        axes.set_xlabel("weight at the end of the run")
    panels[0].set_ylabel("density of the distribution")
    _figures.legend_below(picture, panels[0])
    caption = "Distribution of the surviving weights where judged runs end, each normalised."
    svg = _figures.to_svg(picture, "weight-histogram")
    return Figure("weight-histogram", svg, caption + (_figures.shown(shown, layers) if len(layers) > 1 else ""))


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `weight-histogram`."""
    paper = "Maene et al. 2021, section 4.2"
    yield Component("weight-histogram", WeightHistogramConfig, WeightHistogram, version=1, paper=paper)
