"""A metric over the iterations of training, at several densities: a panel for each entry, means over seeds.

Source: Frankle & Carbin 2019, figure 3.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from math import ceil
from pathlib import Path
from statistics import mean
from typing import TYPE_CHECKING, Any, TypeAlias

from pydantic import Field, field_validator

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.board import AxisName, Board, place_of
from prunebench.api.component import EntryRef
from prunebench.api.details import EvaluationDetail
from prunebench.api.estimates import Interval
from prunebench.api.metric import Metric, metric_of
from prunebench.api.report import literal, percent_labels
from prunebench.api.results import Results
from prunebench.stats.student import student_interval
from prunebench_plugins.analyses import _figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACROSS = 3

Curve: TypeAlias = Mapping[int, Interval]
"""A mean over seeds with its interval, by iteration, in printed units."""


class TrainingCurvesConfig(ComponentConfig):
    """`entries`: whose curves; all of them by default. `metric`: "test/accuracy" or another that curves have.

    `densities`: which are drawn; by default at most six, evenly chosen. `start`: the share of training before which the
    vertical axis need not hold the curves, since they rise so far in the first iterations.
    """

    entries: tuple[EntryRef, ...] = ()
    metric: str = "test/accuracy"
    densities: tuple[float, ...] = ()
    start: float = Field(default=0.1, ge=0, lt=1)

    @field_validator("metric")
    @classmethod
    def _of_a_curve(cls, metric: str) -> str:
        split, _, name = metric.partition("/")
        if split not in ("train", "valid", "test") or name not in ("accuracy", "loss"):
            raise ValueError('curves have "SPLIT/accuracy" and "SPLIT/loss"')
        return metric

    @field_validator("densities")
    @classmethod
    def _are_densities(cls, densities: tuple[float, ...]) -> tuple[float, ...]:
        wrong = [density for density in densities if not 0 < density <= 1]
        if wrong:
            raise ValueError(f"{wrong[0]} is not a density: a fraction kept, above 0 and at most 1")
        return densities


class TrainingCurves:
    """Draws training-curves.svg."""

    def __init__(self, config: TrainingCurvesConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_report(self, results: Results, board: Board, folder: Path) -> None:
        """Draw the curves of the entries that were scored; nothing where none has any."""
        config = self._config
        unit = next((row.unit for row in results.rows if row.name == config.metric), "")
        metric = metric_of(config.metric, unit, board.provenance.metrics)
        wanted = [e for e in board.provenance.entries if not config.entries or e in config.entries]
        panels = {
            (place, entry): drawn
            for (place, entry), found in sorted(of_entries(results, metric, board.axis).items(), key=_in_order(wanted))
            if entry in wanted and (drawn := _chosen(found, config.densities, board.alpha))
        }
        if panels:
            svg = draw(panels, metric, config.start)
            (folder / "training-curves.svg").write_text(svg, encoding="utf-8", newline="\n")


def _in_order(wanted: Sequence[str]) -> Any:
    return lambda item: (item[0][0], wanted.index(item[0][1]) if item[0][1] in wanted else len(wanted))


Found: TypeAlias = dict[float, dict[int, dict[int, list[float]]]]
"""By density, iteration and seed: the values of the draws."""


def of_entries(results: Results, metric: Metric, axis: AxisName) -> dict[tuple[str, str], Found]:
    """The values behind all curves, in printed units, by ("MODEL on DATA", entry). What diverged has no value.

    Args:
        axis: what a density is of. Where it is a cost, seeds differ in it, and a round has their mean.
    """
    found: dict[tuple[str, str], Found] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    )
    costs = {} if axis == "density" else _costs(results, axis)
    for line in results.details:
        if not isinstance(line, EvaluationDetail) or not line.curve:
            continue
        round_ = (line.entry, line.model, line.data, line.round)
        density = _kept(line) if axis == "density" else costs.get(round_)
        if density is None:
            continue
        for point in line.curve:
            value = point.values.get(metric.name)
            if value is not None:
                own = found[f"{line.model} on {line.data}", line.entry][density]
                own[point.iteration][line.seed].append(metric.factor * value)
    return found


def _kept(line: EvaluationDetail) -> float:
    """The fraction kept of a ticket's units; 1 where there is none."""
    units = sum(layer.units for layer in line.layers)
    kept = [layer.kept for layer in line.layers if layer.kept is not None]
    return 1.0 if len(kept) < len(line.layers) or not units else sum(kept) / units


def _costs(results: Results, axis: AxisName) -> dict[tuple[str, str, str, int], float]:
    """Where each round's tickets lie on a cost axis: the mean over seeds and draws."""
    places: dict[tuple[str, str, str, int], dict[tuple[int, int], float]] = defaultdict(dict)
    for row in results.rows:
        place = getattr(row, axis)
        if row.role == "evaluate" and row.round is not None and place is not None:
            places[row.entry, row.model, row.data, row.round][row.seed, row.draw] = place
    return {round_: mean(own.values()) for round_, own in places.items()}


def _chosen(found: Found, densities: Sequence[float], alpha: float) -> dict[float, Curve]:
    """The curves that are drawn, from dense to sparse; draws are averaged within a seed."""
    known = sorted(found, reverse=True)
    if densities:
        named = [place_of(known, density) for density in densities]
        chosen = [density for density in known if density in named]
    else:
        chosen = [known[place] for place in _figures.evenly(len(known), 6)]
    return {
        density: {
            iteration: student_interval([mean(draws) for _, draws in sorted(seeds.items())], alpha)
            for iteration, seeds in sorted(found[density].items())
        }
        for density in chosen
    }


def draw(panels: Mapping[tuple[str, str], Mapping[float, Curve]], metric: Metric, start: float) -> str:
    """A panel for each entry with a colour for each density, the same in all of them."""
    densities = sorted({density for curves in panels.values() for density in curves}, reverse=True)
    labels = percent_labels(densities)
    colours = dict(zip(densities, _figures.in_order(len(densities)), strict=True))
    across = min(ACROSS, len(panels))
    down = ceil(len(panels) / across)
    picture = _figures.canvas(4.0 * across + 1.4, 3.1 * down + 0.3)
    axes_of = list(picture.subplots(down, across, squeeze=False, sharey=True).flat)
    several = len({place for place, _ in panels}) > 1
    handles: dict[str, Any] = {}
    for axes, ((place, entry), curves) in zip(axes_of, panels.items(), strict=False):
        for density, curve in curves.items():
            handles[labels[density]] = _curve(axes, curve, colours[density])
        axes.set_title(literal(f"{entry}, {place}" if several else entry, 44), fontsize="medium")
        axes.grid(alpha=0.3)
        axes.tick_params(labelleft=True)
        axes.set_xlabel("iteration")
    for row in range(down):
        axes_of[row * across].set_ylabel(literal(metric.label, 40))
    for axes in axes_of[len(panels) :]:
        axes.set_axis_off()
    axes_of[0].set_ylim(*_range([curve for curves in panels.values() for curve in curves.values()], metric, start))
    ordered = [labels[density] for density in densities]
    picture.legend([handles[name] for name in ordered], ordered, loc="outside right upper", title="density")
    return _figures.to_svg(picture, "training-curves")


def _curve(axes: Axes, curve: Curve, colour: Any) -> Any:
    iterations = list(curve)
    banded = [(at, i.low, i.high) for at, i in curve.items() if i.low is not None and i.high is not None]
    if banded:
        lows, highs = [low for _, low, _ in banded], [high for _, _, high in banded]
        axes.fill_between([at for at, _, _ in banded], lows, highs, color=colour, alpha=0.15, linewidth=0)
    marker = "o" if len(iterations) == 1 else ""
    (line,) = axes.plot(iterations, [i.mean for i in curve.values()], color=colour, linewidth=1.4, marker=marker)
    return line


def _range(curves: Sequence[Curve], metric: Metric, start: float) -> tuple[float, float]:
    """All means but those of the first share of training, which may lie beyond the worse end."""
    later = [i.mean for curve in curves for at, i in curve.items() if at >= start * max(curve)]
    every = [i.mean for curve in curves for i in curve.values()]
    low, high = (min(later), max(every)) if metric.higher else (min(every), max(later))
    margin = 0.05 * (high - low) or 0.01 * abs(high) or 1.0
    return low - margin, high + margin


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `training-curves`."""
    paper = "Frankle & Carbin 2019, figure 3"
    yield Component("training-curves", TrainingCurvesConfig, TrainingCurves, version=1, paper=paper)
