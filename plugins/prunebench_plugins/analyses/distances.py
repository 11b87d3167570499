"""Distances between the optima of all rounds, and to the initialisation: do tickets retrain to where they came from?

Which optima: with `runs = "judged"`, the ends of the runs that judge the entry's tickets (draw 0) and, as round 0, of
the dense network's run under the same recipe; these exist for every entry, one that judges edited tickets of another
too. With `runs = "find"`, the ends of the runs that led to the tickets: an optimum of round r is of the run that
trained the ticket of round r, so the last ticket, which nothing is found from, has none. The two are the same runs
where both recipes are equal.

Two networks are compared over their shared weights: those that both masks keep, prunable weights alone (no biases, no
normalisations). With u and v the vectors of these: `angle` is 2/π times the angle between u and v, 1 if they are
orthogonal; `cosine` is 1 - cos(u, v); `euclidean` is ||u - v||. The angle is taken as 2 atan2(||a - b||, ||a + b||) of
the two unit vectors, in double precision, since the arc cosine cannot tell small angles.

One angle of all weights hides much: layers may cancel, and weights may move that no output depends on. So `also` adds
what two networks share beyond it, for optima one and two rounds apart:

- "layers": the same distances of each layer's weights alone.
- "units": the correlation of hidden units over images, before their nonlinearity, where units are matched so that the
  sum of correlations is as large as it can be (the Hungarian algorithm). Channels of convolutions are taken over all
  places. Units that give the same for all images in one of the networks are left out.
- "activations": the distance of cosines in the metric of the data: of what each layer gives with either network's
  weights, of those that both masks keep, for what it reads in the two networks, centred.
- "predictions": the share of images for which both networks predict the same class, and how much their errors overlap.

Source: Maene et al. 2021, section 4.1 and appendix B, figures 4, 9, 10, 11, 17 and 18; matched
units after Li et al. 2016 (Convergent learning).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from prunebench import Component, ComponentConfig, Figure, Measurement, hookimpl
from prunebench.api.measurements import Analysis
from prunebench.api.strict import InWords
from prunebench.api.tickets import Inputs, Optimum
from prunebench_plugins.analyses import _figures, _optima, _weights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Units
    from prunebench.api.planning import Needs, Request
    from prunebench.api.task import Task

KINDS = {"angle": "angular distance", "cosine": "cosine distance", "euclidean": "Euclidean distance"}
LAGS = (1, 2)
Also = Literal["layers", "units", "activations", "predictions"]
LOOKING = {"units", "activations", "predictions"}
"""What is compared over images."""
_OVER_IMAGES = InWords(beside=(("also", ["predictions"]),))
WRITTEN = 9
"""Rows of a heat map whose numbers still fit into its cells."""


class DistancesConfig(ComponentConfig):
    """Which optima, and what the initialisation is.

    `runs`: the runs that judge the tickets, or those that find them. `start`: the weights that the trial's network was
    drawn with, or those that each judged run starts from; the two differ for tickets that are drawn anew, carried on or
    rewound to a later point. `also`: what else is compared; units, activations and predictions over `images` evenly
    spaced images of `split`, or all of them where there are fewer.
    """

    later: ClassVar[frozenset[str]] = frozenset({"also", "split", "images"})

    runs: Literal["judged", "find"] = "judged"
    start: Literal["network", "ticket"] = "network"
    also: tuple[Also, ...] = ()
    split: Annotated[Literal["test", "valid", "train"], _OVER_IMAGES] = "test"
    images: Annotated[int, Field(ge=2), _OVER_IMAGES] = 1_000

    @model_validator(mode="after")
    def _each_is_asked_for_once_and_images_are_looked_at(self) -> DistancesConfig:
        if len(set(self.also)) < len(self.also):
            raise ValueError("also: the same thing is named twice")
        looked_at = (self.split, self.images) != ("test", 1_000)
        if looked_at and not LOOKING & set(self.also):
            raise ValueError("split and images: only units, activations and predictions of `also` look at images")
        return self

    @model_validator(mode="after")
    def _starts_are_of_judged_runs(self) -> DistancesConfig:
        if self.runs == "find" and self.start == "ticket":
            raise ValueError(
                'start = "ticket" is for runs = "judged"; the runs that find start where the schedule says'
            )
        return self


class Distances:
    """Compares every optimum with every other, and with the initialisation."""

    def __init__(self, config: DistancesConfig) -> None:
        self._runs, self._start, self._layers = config.runs, config.start, "layers" in config.also

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The optima, and for each the weights that it is compared with as its initialisation.

        Raises:
            PlanError: fewer than two optima.
        """
        from prunebench.api.planning import Needs, TrainedPoint

        drawn = request.chain.dense.weights
        if self._runs == "find":
            optima = _optima.ends_of_find_runs(request, "distances")
            starts = [TrainedPoint(drawn, None, point.round) for point in optima]
        else:
            optima = _optima.ends_of_judged_runs(request, "distances")
            runs = _optima.judged_runs(request)
            starts = [
                TrainedPoint(drawn if self._start == "network" else run.ticket.weights, None, round)
                for round, run in runs.items()
            ]
        return Needs({"optima": optima, "starts": starts})

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, units: Units) -> Analysis:
        """`angle`, `cosine` and `euclidean`, each with `/<i>-<j>` for rounds i > j, at round i, and with three more.

        `/r-1` and `/r-2` are those to the optimum one and two rounds before (absent where that round was not judged),
        `/init` is that to the initialisation. `shared/<i>-<j>` is the number of weights that were compared.
        Where one of the two has no shared weight that is not 0 there is no direction, and so no angle and no cosine.
        With `also = ["layers"]` there are `angle/<layer>/r-1`, `cosine/<layer>/r-1`, `euclidean/<layer>/r-1` and those
        of `r-2`.
        """
        optima = [Sparse.of(optimum, units) for optimum in inputs["optima"]]
        rounds = [optimum.round for optimum in inputs["optima"]]
        pairs: Pairs = {}
        initial: dict[int, Mapping[str, float]] = {}
        measurements: list[Measurement] = []
        layers: ByLayer = {}
        for index, (one, start) in enumerate(zip(optima, inputs["starts"], strict=True)):
            round = rounds[index]
            for other, before in zip(optima[:index], rounds, strict=False):
                u, v = one.shared(other)
                pairs[round, before] = found = distances(u, v)
                measurements += named(found, f"{round}-{before}", round)
                measurements.append(Measurement(f"shared/{round}-{before}", float(u.numel()), "weights", round))
                if round - before in LAGS:
                    measurements += named(found, f"r-{round - before}", round)
                    if self._layers:
                        layers[round, round - before] = own = by_layer(one, other)
                        for layer, apart in own.items():
                            measurements += named(apart, f"{layer}/r-{round - before}", round)
            initial[round] = distances(*one.shared(Sparse.of(start, units)))
            measurements += named(initial[round], "init", round)
        figures = [heat_map(kind, rounds, pairs, initial) for kind in KINDS]
        figures.append(over_rounds(rounds, pairs, initial))
        if self._layers:
            figures.append(over_rounds_by_layer(layers))
        return Analysis(tuple(measurements), tuple(figures))


class FunctionalDistances:
    """The same, and what the networks do with images. Of its own class, so that the other one is handed no data."""

    def __init__(self, config: DistancesConfig) -> None:
        self._config, self._of_weights = config, Distances(config)

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """As Distances.

        Raises:
            PlanError: fewer than two optima.
        """
        return self._of_weights.prunebench_needs(request)

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, model: nn.Module, data: Data, task: Task, units: Units) -> Analysis:
        """What Distances gives, and for optima one and two rounds apart, each name followed by `/r-1` or `/r-2`:

        `correlation/<layer>` is the mean correlation of matched hidden units, `correlation` that over all layers,
        `matched/<layer>` and `matched` the number of pairs, and `itself/<layer>` and `itself` the share of them that
        are a unit and the one in its place. `activations/<layer>` is 1 - the cosine of what a layer gives with the
        weights of the two; absent where one of them gives the same for all images. `agreement` is the share of images
        with the same predicted class. `shared-errors` is the number of images that both have wrong over that of images
        that either has wrong; absent where neither has any.

        Raises:
            ContractError: predictions are asked for of a network that does not give one score for each class.
        """
        from prunebench_plugins.analyses import _similarity

        known = self._of_weights.prunebench_analyse(inputs, units)
        seen = _similarity.Seen(model, data, task, units, self._config.split, self._config.images)
        before: dict[int, _similarity.Behaviour] = {}
        measurements: list[Measurement] = []
        optima = inputs["optima"]
        for index in range(len(optima)):
            optimum = optima[index]
            round = optimum.round
            here = seen.behaviour(optimum, self._config.also)
            for lag in LAGS:
                if round - lag in before:
                    measurements += _similarity.compared(here, before[round - lag], f"r-{lag}", round)
            before = {r: b for r, b in before.items() if round - r < max(LAGS)} | {round: here}
        figures = _similarity.over_rounds(measurements)
        return Analysis((*known.measurements, *measurements), (*known.figures, *figures))


Pairs = dict[tuple[int, int], Mapping[str, float]]
"""By the later and the earlier round, the distances of two optima by kind."""

ByLayer = dict[tuple[int, int], Mapping[str, Mapping[str, float]]]
"""By the later round and how many rounds lie between two optima, the distances of each layer by kind."""


@dataclass(frozen=True)
class Sparse:
    """The prunable weights of a network: which are kept, and the values of these alone.

    Thirty nested masks then hold five dense networks, not thirty.
    """

    keep: Tensor
    values: Tensor
    layers: Mapping[str, int]
    """How many elements the weight of each layer has, in order."""

    @classmethod
    def of(cls, optimum: Optimum, units: Units) -> Sparse:
        """The weights that the optimum's mask keeps."""
        import torch

        kept = _weights.kept_weights(units, optimum.mask)
        values = [optimum.weights[name].cpu()[keep] for name, keep in kept.items()]
        sizes = {name.removesuffix(".weight"): keep.numel() for name, keep in kept.items()}
        return cls(torch.cat([keep.flatten() for keep in kept.values()]), torch.cat(values), sizes)

    def shared(self, other: Sparse) -> tuple[Tensor, Tensor]:
        """The values of both where both are kept, in double precision."""
        return self.values[other.keep[self.keep]].double(), other.values[self.keep[other.keep]].double()


def by_layer(one: Sparse, other: Sparse) -> dict[str, dict[str, float]]:
    """The distances of each layer's shared weights."""
    import torch

    u, v = one.shared(other)
    both = torch.split(one.keep & other.keep, list(one.layers.values()))
    sizes = [int(part.sum()) for part in both]
    pieces = zip(one.layers, torch.split(u, sizes), torch.split(v, sizes), strict=True)
    return {layer: distances(a, b) for layer, a, b in pieces}


def distances(u: Tensor, v: Tensor) -> dict[str, float]:
    """The three distances of two vectors of float64; without a direction the Euclidean one alone."""
    found = {"euclidean": float((u - v).norm())}
    lengths = float(u.norm()), float(v.norm())
    if min(lengths) > 0:
        a, b = u / lengths[0], v / lengths[1]
        angle = 2 * math.atan2(float((a - b).norm()), float((a + b).norm()))
        # 1 - cos, without the difference of nearly equal numbers.
        found |= {"angle": 2 * angle / math.pi, "cosine": 2 * math.sin(angle / 2) ** 2}
    return found


def named(found: Mapping[str, float], which: str, round: int) -> Iterator[Measurement]:
    """The distances as measurements."""
    for kind in KINDS:
        if kind in found:
            yield Measurement(f"{kind}/{which}", found[kind], round=round)


def heat_map(kind: str, rounds: Sequence[int], pairs: Pairs, initial: Mapping[int, Mapping[str, float]]) -> Figure:
    """Every optimum against every other; the last row and column are the initialisation."""
    import numpy as np

    places = [*rounds, None]
    values = np.full((len(places), len(places)), np.nan)
    for row, first in enumerate(places):
        for column in range(row + 1):
            if row == column:
                value = 0.0
            elif first is None:
                value = initial[rounds[column]].get(kind, np.nan)
            else:
                value = pairs[first, rounds[column]].get(kind, np.nan)
            values[row, column] = values[column, row] = value
    picture = _figures.canvas(5.6, 4.6)
    axes = picture.add_subplot()
    largest = float(np.nanmax(values))
    # Angles have the same colours for every entry: orthogonal is 1.
    top = max(1.0, largest) if kind == "angle" else largest or 1.0
    # Cells as shapes, with edges of their own colour: an image would be a bitmap, and bare cells show seams.
    drawn = axes.pcolormesh(values, cmap="viridis", vmin=0, vmax=top, edgecolors="face", linewidth=0.2)
    if len(places) <= WRITTEN:
        for (row, column), value in np.ndenumerate(values):
            if np.isfinite(value) and row != column:
                colour = "black" if value > 0.6 * top else "white"
                place = axes.text(
                    column + 0.5, row + 0.5, f"{value:#.2g}".rstrip("."), ha="center", va="center", color=colour
                )
                place.set_fontsize("small")
    axes.set_aspect("equal")
    axes.invert_yaxis()
    step = -(-len(rounds) // 9)
    # The last round has no room beside the word unless every round has a tick.
    ticks = [*range(0, len(rounds) - (step > 1), step), len(rounds)]
    labels = ["init" if places[tick] is None else str(places[tick]) for tick in ticks]
    axes.set_xticks([tick + 0.5 for tick in ticks], labels)
    axes.set_yticks([tick + 0.5 for tick in ticks], labels)
    axes.set_xlabel("round")
    axes.set_ylabel("round")
    picture.colorbar(drawn, ax=axes, label=KINDS[kind])
    name = f"distances-{kind}"
    caption = (
        f"{KINDS[kind][0].upper()}{KINDS[kind][1:]} between optima over their shared weights, by round; last: init."
    )
    return Figure(name, _figures.to_svg(picture, name), caption)


def over_rounds(rounds: Sequence[int], pairs: Pairs, initial: Mapping[int, Mapping[str, float]]) -> Figure:
    """The angle to one and two rounds before, and to the initialisation."""
    from matplotlib.ticker import MaxNLocator

    picture = _figures.canvas(7.0, 4.2)
    axes = picture.add_subplot()
    lines = {f"to round r − {lag}": {r: pairs[r, r - lag] for r in rounds if (r, r - lag) in pairs} for lag in LAGS}
    for (label, line), style in zip({**lines, "to init": initial}.items(), ("-", "--", ":"), strict=True):
        points = [(r, found["angle"]) for r, found in line.items() if "angle" in found]
        axes.plot([r for r, _ in points], [value for _, value in points], style, marker=".", label=label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("round r")
    axes.set_ylabel(KINDS["angle"])
    axes.grid(alpha=0.3)
    _figures.legend_below(picture, axes)
    caption = "Angular distance of each optimum to those of the rounds before it and to the initialisation."
    return Figure("distances-over-rounds", _figures.to_svg(picture, "distances-over-rounds"), caption)


def over_rounds_by_layer(layers: ByLayer) -> Figure:
    """The angle of each layer to one round before; to two before it, dotted."""
    from matplotlib.ticker import MaxNLocator

    picture = _figures.canvas(7.0, 4.2)
    axes = picture.add_subplot()
    names = list(dict.fromkeys(name for own in layers.values() for name in own))
    for name, colour in zip(names, _figures.in_order(len(names)), strict=True):
        for lag, style in zip(LAGS, ("-", ":"), strict=True):
            points = [(r, own[name]["angle"]) for (r, by), own in layers.items() if by == lag and "angle" in own[name]]
            label: dict[str, Any] = {"label": name} if lag == 1 else {}
            axes.plot([r for r, _ in points], [y for _, y in points], style, marker=".", color=colour, **label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(bottom=0)
    axes.set_xlabel("round r")
    axes.set_ylabel(KINDS["angle"])
    axes.grid(alpha=0.3)
    _figures.name_layers(picture, axes, names)
    name = "distances-by-layer"
    caption = "Angular distance of each layer to its weights one round before (lines) and two before (dotted)."
    return Figure(name, _figures.to_svg(picture, name), caption)


def build(config: DistancesConfig) -> object:
    """The component for a configuration."""
    return FunctionalDistances(config) if LOOKING & set(config.also) else Distances(config)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `distances`."""
    paper = "Maene et al. 2021, section 4.1"
    yield Component("distances", DistancesConfig, build, version=1, paper=paper)
