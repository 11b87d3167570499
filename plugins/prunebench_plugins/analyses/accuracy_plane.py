"""Accuracy planes: the accuracy and the loss on the plane through the pretrained, the pruned and the retrained network.

W* is the end of the dense find run; Wp is the state that was last trained before a round's ticket was cut, under the
ticket's mask; Wr is the end of the run that judges the ticket (draw 0). The plane is spanned by all parameters,
pruned or not; what batch norm counts is no direction of it and follows `bn`. Its x-axis goes from W* to Wr, its y-axis
is what Gram-Schmidt leaves of Wp - W*, and both are in the units of the weights.

Source: "An empirical study of a pruning mechanism" 2021, section 3, figures 6 and 16, after Garipov et al. 2018,
figure 1. There the colours are the training accuracy; batch norm's statistics are taken anew by Garipov et al. and not
mentioned by the other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from math import isfinite, sqrt
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from prunebench import Component, ContractError, Figure, Measurement, PlanError, hookimpl
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs, State
from prunebench_plugins.analyses import _figures, _paths, _weights

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from numpy.typing import NDArray
    from torch import Tensor, nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Units
    from prunebench.api.planning import Needs, Request
    from prunebench.api.task import Task

NAMES = {"pretrained": "W*", "pruned": "Wp", "retrained": "Wr"}

FLAT = 1e-6
"""Below this share of the longest distance, points are equal or on one line: no plane, but rounding."""

NARROWEST = 0.6
"""The least height of the picture as a share of its width, and the other way round."""


class AccuracyPlaneConfig(_paths.PathConfig):
    """Which planes, and how they are measured.

    Args:
        rounds: the pruning cycles, a plane each; the last one if left out. One that is not judged costs a training.
        grid: places along each axis.
        margin: how far the grid goes beyond the three points, as a share of the longer side of their box.
        points: places on each of the three straight lines between the points, the two ends among them.
        split: the images that accuracy and loss are measured on.
        images: how many of them, evenly spaced; all if left out.
        bn: batch norm's running statistics are taken anew at each place from 10,000 un-augmented, evenly spaced
            training images, or interpolated like the weights; then a variance that would be negative is 0.
    """

    split: Literal["test", "valid", "train"] = "train"
    bn: Literal["interpolate", "recalibrate"] = "recalibrate"
    rounds: Annotated[tuple[Annotated[int, Field(ge=1)], ...], Field(min_length=1)] | None = None
    grid: Annotated[int, Field(ge=3)] = 21
    margin: Annotated[float, Field(ge=0, le=10)] = 0.25
    points: Annotated[int, Field(ge=3)] = 21


class AccuracyPlane:
    """Measures networks on a plane of the space of weights."""

    def __init__(self, config: AccuracyPlaneConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> list[Needs]:
        """The three states of each plane.

        Raises:
            PlanError: a state does not exist, two of them are one, or there is no such round.
        """
        from dataclasses import replace

        from prunebench.api.planning import Needs

        chain = request.chain
        if chain.rounds == 0:
            raise PlanError(
                "accuracy-plane: the entry prunes nothing: it has neither Wp nor Wr; ask it of one with a schedule"
            )
        if not request.optima:
            raise PlanError("accuracy-plane: the schedule has no find run: nothing is trained before it is pruned (W*)")
        pretrained = request.optima[0]
        if pretrained.mask is not None:
            raise PlanError("accuracy-plane: the first find run is pruned while it trains: no network is W*")
        rounds = (chain.rounds,) if self._config.rounds is None else self._config.rounds
        if max(rounds) > chain.rounds:
            raise PlanError(
                f"accuracy-plane: there is no round {max(rounds)}; the entry has rounds 1 to {chain.rounds}"
            )
        assert request.evaluate is not None
        asked = []
        for round in sorted(set(rounds)):
            # The entry's own edits may change a mask: what was pruned is the ticket before them.
            pruned = [point for point in request.optima if point.round < round][-1]
            run = request.evaluate(request.tickets[round], 0)
            if run.start == run.stop:
                raise PlanError(f"accuracy-plane: round {round}: the judged run trains nothing, so that Wr is Wp")
            points = {
                "pretrained": pretrained,
                "pruned": replace(pruned, mask=chain.tickets[round].mask),
                "retrained": run.optimum,
            }
            asked.append(Needs({name: [replace(point, round=round)] for name, point in points.items()}))
        return asked

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, model: nn.Module, data: Data, task: Task, units: Units) -> Analysis:
        """Accuracy, loss and distances of the three points, and how far both go astray on the lines between them.

        `accuracy` and `loss` have `/pretrained`, `/pruned` or `/retrained` behind them. `distance` (all parameters),
        `smallest_accuracy`, `largest_loss` and `barrier` have a line, such as `/pretrained-retrained`; the barrier is
        the mean accuracy of the line's two ends less the smallest on it. A loss that is not finite is left out.

        Raises:
            ContractError: two points are equal, the three are on one line, or the task measures no accuracy.
        """
        config = self._config
        (pretrained,), (pruned,), (retrained,) = (inputs[name] for name in NAMES)
        cut = _weights.restricted(pruned.weights, pruned.mask, units)
        states = dict(zip(NAMES, (pretrained.weights, cut, retrained.weights), strict=True))
        plane = Plane.through(states, model, f"accuracy-plane: round {retrained.round}")
        place = Surface(plane, model, data, task, config)
        corners = {name: place.at(weights) for name, weights in plane.corners.items()}
        measurements = list(_numbers(place, plane, corners, retrained.round, config))
        return Analysis(tuple(measurements), (figure(place, plane, corners, retrained.round, config),))


@dataclass(frozen=True)
class Value:
    """What a network is worth: a share of images, and nats."""

    accuracy: float
    loss: float

    def said(self, shown: str) -> str:
        """One of the two, as a picture says it."""
        if shown == "accuracy":
            return f"{100 * self.accuracy:.1f} %"
        # Weights may be so large that their loss is not a number.
        return f"{self.loss:.3g}" if isfinite(self.loss) else "no loss"


Weights = tuple[float, float, float]
"""How much of W*, Wp and Wr a place is made of; they sum to 1."""


@dataclass(frozen=True)
class Plane:
    """The plane through three states.

    Args:
        states: the floating-point numbers of each in double precision, the others of the first as they are.
        x, y: where the three points lie, in the order of `NAMES`.
        distances: by line, in the units of the weights.
    """

    states: Sequence[Mapping[str, Tensor]]
    x: tuple[float, float, float]
    y: tuple[float, float, float]
    distances: Mapping[str, float]

    @classmethod
    def through(cls, states: Mapping[str, State], model: nn.Module, who: str) -> Plane:
        """The plane with W* at (0, 0) and Wr at (its distance, 0).

        Raises:
            ContractError: two points are equal, the three are on one line, or one is not finite.
        """
        device = next(model.parameters()).device
        ready = [{n: _double(value).to(device) for n, value in state.items()} for state in states.values()]
        names = [name for name, _ in model.named_parameters()]
        distances = {}
        for one, other in combinations(range(3), 2):
            line = "-".join(list(NAMES)[i] for i in (one, other))
            distances[line] = sqrt(sum(float((ready[one][n] - ready[other][n]).square().sum()) for n in names))
            if not isfinite(distances[line]):
                raise ContractError(f"{who}: the distance between {_said(one)} and {_said(other)} is not finite")
        for (one, other), distance in zip(combinations(range(3), 2), distances.values(), strict=True):
            if distance <= FLAT * max(distances.values()):
                raise ContractError(
                    f"{who}: {_said(one)} and {_said(other)} are equal, to a millionth of the longest distance"
                )
        length = distances["pretrained-retrained"]
        inner = sum(float(((ready[1][n] - ready[0][n]) * (ready[2][n] - ready[0][n])).sum()) for n in names)
        along = inner / length
        # Of the remainder itself, not of the difference of two squares, which cancels where it is small.
        rest = sqrt(
            sum(
                float((ready[1][n] - ready[0][n] - along / length * (ready[2][n] - ready[0][n])).square().sum())
                for n in names
            )
        )
        if rest <= FLAT * max(distances.values()):
            raise ContractError(f"{who}: {_said(0)}, {_said(1)} and {_said(2)} are on one line: no plane of their own")
        return cls(ready, (0.0, along, length), (0.0, rest, 0.0), distances)

    @property
    def corners(self) -> dict[str, Weights]:
        """The three points themselves."""
        return {"pretrained": (1.0, 0.0, 0.0), "pruned": (0.0, 1.0, 0.0), "retrained": (0.0, 0.0, 1.0)}

    def weights(self, x: float, y: float) -> Weights:
        """What a place of the plane is made of."""
        pruned = y / self.y[1]
        retrained = (x - pruned * self.x[1]) / self.x[2]
        return 1 - pruned - retrained, pruned, retrained

    def state(self, weights: Weights) -> dict[str, Tensor]:
        """The state there; counters are those of W*."""
        first, second, third = self.states
        return {
            name: weights[0] * value + weights[1] * second[name] + weights[2] * third[name]
            if value.is_floating_point()
            else value
            for name, value in first.items()
        }

    def axes(self, grid: int, margin: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The places of a grid along x and y: around the points, with a margin, and not too narrow."""
        import numpy as np

        sides = [(min(along), max(along)) for along in (self.x, self.y)]
        longest = max(high - low for low, high in sides)
        axes = []
        for low, high in sides:
            half = max(high - low, NARROWEST * longest) / 2 + margin * longest
            axes.append(np.linspace((low + high) / 2 - half, (low + high) / 2 + half, grid))
        return axes[0], axes[1]


class Surface:
    """The accuracy and the loss of the networks of a plane."""

    def __init__(self, plane: Plane, model: nn.Module, data: Data, task: Task, config: AccuracyPlaneConfig) -> None:
        self._plane, self._model, self._data, self._task, self._config = plane, model, data, task, config
        from torch.nn.modules.batchnorm import _BatchNorm

        norms = [name for name, module in model.named_modules() if isinstance(module, _BatchNorm)]
        self._variances = {f"{name}.running_var" if name else "running_var" for name in norms}

    def at(self, weights: Weights) -> Value:
        """Of one network; the model is left with its weights."""
        state = self._plane.state(weights)
        # Beyond the three points a variance may be extrapolated below 0, which has no root.
        self._model.load_state_dict({n: v.clamp(min=0) if n in self._variances else v for n, v in state.items()})
        if self._config.bn == "recalibrate":
            _paths.recalibrate(self._model, self._data, self._task)
        return measured(self._model, self._data, self._task, self._config)

    def line(self, one: str, other: str, ends: Mapping[str, Value]) -> list[Value]:
        """Along the straight line between two of the points, whose own values are known."""
        first, second = self._plane.corners[one], self._plane.corners[other]
        last = self._config.points - 1
        between = [
            self.at(_mix(first, second, index / last)) for index in range(1, last)
        ]  # the ends are not measured twice
        return [ends[one], *between, ends[other]]


def _mix(first: Weights, second: Weights, alpha: float) -> Weights:
    a, b, c = ((1 - alpha) * u + alpha * v for u, v in zip(first, second, strict=True))
    return a, b, c


def measured(model: nn.Module, data: Data, task: Task, config: AccuracyPlaneConfig) -> Value:
    """Accuracy and mean loss on the chosen images, of outputs in double precision."""
    import torch

    from prunebench.kernels.batch_size import in_parts
    from prunebench.kernels.evaluation import evaluate

    split = data[config.split]
    count = split.size if config.images is None else min(config.images, split.size)
    network = in_parts(model.eval())
    with torch.no_grad():
        batches = split.batches(_paths.in_batches(_paths.evenly_spaced(split.size, count)))
        values, _ = evaluate(lambda inputs: network(inputs).double(), task, batches)
    if "accuracy" not in values:
        raise ContractError(f"accuracy-plane: the task measures {', '.join(values)}, and no accuracy")
    return Value(values["accuracy"], values["loss"])


def _double(value: Tensor) -> Tensor:
    return value.double() if value.is_floating_point() else value


def _said(index: int) -> str:
    name = list(NAMES)[index]
    return f"{NAMES[name]} ({name})"


def _numbers(
    place: Surface, plane: Plane, corners: Mapping[str, Value], round: int, config: AccuracyPlaneConfig
) -> Iterator[Measurement]:
    def one(metric: str, value: float, unit: str) -> Iterator[Measurement]:
        # A network far from all that was trained may overflow.
        if isfinite(value):
            yield Measurement(metric, value, unit, round, split=config.split)

    for name, value in corners.items():
        yield from one(f"accuracy/{name}", value.accuracy, "fraction")
        yield from one(f"loss/{name}", value.loss, "nats")
    for first, second in combinations(NAMES, 2):
        line = f"{first}-{second}"
        values = place.line(first, second, corners)
        smallest = min(value.accuracy for value in values)
        yield Measurement(f"distance/{line}", plane.distances[line], "", round)
        yield from one(f"smallest_accuracy/{line}", smallest, "fraction")
        yield from one(f"largest_loss/{line}", max(value.loss for value in values), "nats")
        yield from one(f"barrier/{line}", (values[0].accuracy + values[-1].accuracy) / 2 - smallest, "fraction")


def figure(
    place: Surface, plane: Plane, corners: Mapping[str, Value], round: int, config: AccuracyPlaneConfig
) -> Figure:
    """The two surfaces side by side, the three points and their distances on them."""
    import numpy as np

    x, y = plane.axes(config.grid, config.margin)
    values = [[place.at(plane.weights(float(a), float(b))) for a in x] for b in y]
    accuracy = 100 * np.array([[value.accuracy for value in row] for row in values])
    loss = np.array([[value.loss for value in row] for row in values])
    # As high as the grid is for its width, and what is written above and below.
    picture = _figures.canvas(10.4, 3.75 * float(np.ptp(y) / np.ptp(x)) + 1.2)
    left, right = picture.subplots(1, 2)
    levels = np.linspace(0, 100, 21)
    drawn = left.contourf(x, y, accuracy, levels, cmap="viridis")
    left.contour(x, y, accuracy, levels[2::2], colors="white", linewidths=0.4)
    picture.colorbar(drawn, ax=left, label=f"{config.split} accuracy (%)", ticks=levels[::4], shrink=0.85)
    # Losses span magnitudes, and one of 0 has no logarithm.
    logs = np.ma.masked_invalid(np.log10(np.maximum(loss, 1e-6)))
    low, high = (float(logs.min()), float(logs.max())) if logs.count() else (-1.0, 1.0)
    steps = np.linspace(low, max(high, low + 0.1), 15)
    drawn = right.contourf(x, y, logs, steps, cmap="viridis_r")
    right.contour(x, y, logs, steps[1::2], colors="white", linewidths=0.4, linestyles="solid")
    bar = picture.colorbar(drawn, ax=right, label=f"{config.split} loss (nats)", ticks=steps[::3], shrink=0.85)
    bar.ax.set_yticklabels([f"{10**step:.3g}" for step in steps[::3]])
    for axes, shown in ((left, "accuracy"), (right, "loss")):
        _mark(axes, plane)
        said = {name: v.said(shown) for name, v in corners.items()}
        axes.set_title(", ".join(f"{NAMES[n]}: {text}" for n, text in said.items()), fontsize="medium")
        axes.set_aspect("equal")
        axes.set_xlabel("from W* to Wr (units of the weights)")
    left.set_ylabel("towards Wp (units of the weights)")
    apart = ", ".join(
        f"‖{NAMES[a]} − {NAMES[b]}‖ = {plane.distances[f'{a}-{b}']:.4g}" for a, b in combinations(NAMES, 2)
    )
    picture.suptitle(f"round {round}: {apart}", fontsize="medium")
    caption = (
        f"{config.split.capitalize()} accuracy and loss on the plane through the pretrained (W*), the pruned (Wp) and "
        f"the retrained network (Wr) of round {round}; distances are over all parameters, and batch norm's statistics "
        + ("are taken anew at each place." if config.bn == "recalibrate" else "are interpolated.")
    )
    name = f"accuracy-plane-{round}"
    return Figure(name, _figures.to_svg(picture, name), caption)


def _mark(axes: Axes, plane: Plane) -> None:
    """The three points, and the straight lines between them."""
    axes.plot([*plane.x, plane.x[0]], [*plane.y, plane.y[0]], color="white", linewidth=1.0, linestyle=":")
    # An outline around the letters would turn the page's text into paths.
    label = {"boxstyle": "round,pad=0.15", "facecolor": "white", "edgecolor": "none", "alpha": 0.8}
    middle = sum(plane.x) / 3, sum(plane.y) / 3
    for name, x, y in zip(NAMES.values(), plane.x, plane.y, strict=True):
        axes.plot([x], [y], marker="o", color="crimson", markeredgecolor="white", markersize=7)
        # Away from the triangle, so that no name lies on a line.
        side = ("left" if x >= middle[0] else "right", "bottom" if y >= middle[1] else "top")
        shift = (8 if side[0] == "left" else -8, 6 if side[1] == "bottom" else -6)
        axes.annotate(
            name,
            (x, y),
            shift,
            textcoords="offset points",
            ha=side[0],
            va=side[1],
            fontweight="bold",
            bbox=label,
        )


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `accuracy-plane`."""
    paper = "An empirical study of a pruning mechanism, 2021, section 3; Garipov et al. 2018"
    yield Component("accuracy-plane", AccuracyPlaneConfig, AccuracyPlane, version=1, paper=paper)
