"""Layerwise pruning ratios (LPR) of early masks: what of each layer would be pruned at positions of the dense run.

By default the entry's own score and selection cut the dense run once, to the density of each round that is judged; with
`density`, global magnitude cuts it to that one. The states are points of one run, so asking for ten trains once.

Source: "Uncovering the impact of hyperparameters for global magnitude pruning" 2020, section 3.5, figures A18 and A19.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from prunebench import Component, ComponentConfig, Figure, Measurement, PlanError, Position, hookimpl
from prunebench.api.info import Layer
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs, Optimum
from prunebench_plugins.analyses import _figures, _weights

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.masks import Mask, Units
    from prunebench.api.planning import Needs, Request


class LprAtEpochsConfig(ComponentConfig):
    """Where, and to what density.

    `at`: positions of the dense find run; its end is always added. `density`: cut to it by global magnitude, in place
    of the entry's own pruning.
    """

    at: Annotated[tuple[Position, ...], Field(min_length=1, examples=[["1ep", "5ep"]])]
    density: Annotated[float, Field(gt=0, lt=1)] | None = None


class LprAtEpochs:
    """Compares masks from states of the dense run."""

    def __init__(self, config: LprAtEpochsConfig) -> None:
        self._at, self._density = config.at, config.density

    @hookimpl
    def prunebench_needs(self, request: Request) -> list[Needs]:
        """The states of the dense run; without a `density`, once for each round that is judged, with its masks.

        Raises:
            PlanError: a position outside of the run, a density of no unit or of all, or an entry that prunes nothing.
        """
        from prunebench.api.planning import Needs, TrainedPoint
        from prunebench.kernels.counts import count_at

        chain, units = request.chain, request.chain.model.units
        run = _weights.dense_run(chain)
        end = Position.parse(f"{run.stop}it")
        places = {place.iterations(run.clock): place for place in (*self._at, end)}
        rounds = sorted({evaluation.round for evaluation in request.evaluations} - {0})
        if self._density is not None:
            if not 0 < count_at(self._density, units) < units:
                raise PlanError(f"lpr-at-epochs: density {self._density:g} keeps none or all of {units:,} units")
            rounds = [0]
        elif not rounds:
            raise PlanError("lpr-at-epochs: the entry judges no pruned ticket; state a `density`")
        return [
            Needs(
                {
                    "states": [
                        TrainedPoint(
                            run.at(places[at]),
                            chain.prune(run, round, at=places[at]).mask if round else None,
                            round,
                            f"{at}it",
                        )
                        for at in sorted(places)
                    ]
                }
            )
            for round in rounds
        ]

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, model: nn.Module, units: Units) -> Analysis:
        """`pruned/LAYER` and `distance` for each position, with the round unless a `density` was stated.

        `pruned` is the fraction of the layer's units that is pruned; `distance` is its mean absolute difference,
        over layers, to what is pruned at the end of the run.
        """
        states = inputs["states"]
        masks = [state.mask if self._density is None else self._cut(state, model, units) for state in states]
        ratios = [pruned(units.layers, mask) for mask in masks]
        distances = [mean_distance(row, ratios[-1]) for row in ratios]
        round = states[-1].round if self._density is None else None
        measurements = []
        for state, row, distance in zip(states, ratios, distances, strict=True):
            measurements += [
                Measurement(f"pruned/{layer.name}", ratio, "fraction", round, state.label)
                for layer, ratio in zip(units.layers, row, strict=True)
            ]
            measurements.append(Measurement("distance", distance, "fraction", round, state.label))
        what = f"density {self._density:g}" if round is None else f"the density of round {round}"
        return Analysis(
            tuple(measurements),
            (figure([int(state.label.removesuffix("it")) for state in states], units.layers, ratios, distances, what),),
        )

    def _cut(self, state: Optimum, model: nn.Module, units: Units) -> Mask:
        """The units of the largest magnitude in a state of the dense run."""
        from prunebench.api.masks import Mask
        from prunebench.kernels.counts import count_at
        from prunebench.kernels.selection import keep_highest

        assert self._density is not None
        # What the units read are the model's own weights.
        model.load_state_dict(dict(state.weights))
        scores = units.reduce(lambda name, weight: weight.abs())
        return Mask(keep_highest(scores.values, None, count_at(self._density, units.count)))


def pruned(layers: Sequence[Layer], mask: Mask | None) -> list[float]:
    """The fraction pruned of each layer."""
    return [0.0 if mask is None else 1 - mask.counts[index] / layer.count for index, layer in enumerate(layers)]


def mean_distance(ratios: Sequence[float], others: Sequence[float]) -> float:
    """The mean absolute difference of the layers' ratios."""
    return sum(abs(a - b) for a, b in zip(ratios, others, strict=True)) / len(ratios)


def figure(
    places: Sequence[int],
    layers: Sequence[Layer],
    ratios: Sequence[Sequence[float]],
    distances: Sequence[float],
    what: str,
) -> Figure:
    """The layers' ratios over the run, and their distance to those at its end."""
    picture = _figures.canvas(9.0, 3.8)
    left, right = picture.subplots(1, 2)
    for index, colour in enumerate(_figures.in_order(len(layers))):
        left.plot(places, [row[index] for row in ratios], marker=".", color=colour, label=layers[index].name)
    left.set_ylabel("share of the layer that is pruned")
    right.plot(places, distances, marker=".", color="black")
    right.set_ylabel("mean distance to the end's shares")
    right.set_ylim(bottom=0)
    for axes in (left, right):
        axes.set_xlabel("iteration of the dense run")
        axes.grid(alpha=0.3)
    _figures.name_layers(picture, left, [layer.name for layer in layers])
    caption = f"What would be pruned of each layer at positions of the dense run, at {what}."
    return Figure("lpr-at-epochs", _figures.to_svg(picture, "lpr-at-epochs"), caption)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `lpr-at-epochs`."""
    paper = "Uncovering the impact of hyperparameters for global magnitude pruning, 2020"
    yield Component("lpr-at-epochs", LprAtEpochsConfig, LprAtEpochs, version=1, paper=paper)
