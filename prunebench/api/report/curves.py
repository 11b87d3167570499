"""The metric over density as SVG text, one panel for each model and data set."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from math import ceil, exp, log
from statistics import median
from textwrap import wrap
from typing import TYPE_CHECKING, Any

from prunebench.api.board import AXES, Board, Entry, Group
from prunebench.api.estimates import Interval
from prunebench.api.metric import Metric
from prunebench.api.report.text import plain

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

# Okabe and Ito's colours without black and yellow, and Tol's wine: apart for the colour-blind and on white
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "h", "*")
_STROKES: tuple[Any, ...] = ("-", (0, (6, 1.2, 1.2, 1.2)), (0, (1.2, 1.2)))
_DENSE = ("#333333", "#888888", "#BBBBBB")
_NAME_WIDTH = 34
_OUTLIERS = 0.15
_CURVES = 9
"""Curves beside the dense ones that a panel shows at most."""
SETTINGS: dict[str, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "prunebench",
    "font.size": 10.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.grid.axis": "y",
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
}


@dataclass(frozen=True)
class Style:
    """How one entry is drawn, in every panel."""

    colour: str
    marker: str
    stroke: Any


@dataclass(frozen=True)
class Point:
    """An entry at one place: a mean with its interval, or None where no trial is ok. In printed units."""

    place: float
    interval: Interval | None
    whole: bool
    chord: tuple[tuple[float, float], tuple[float, float]] | None = None
    """Of an interpolated value: places and values of the two tickets that it lies between."""


def draw_curves(board: Board) -> str:
    """The picture of a board: SVG with text as text, equal bytes for equal input."""
    picture = StringIO()
    with _settings():
        curves_figure(board).savefig(picture, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in picture.getvalue().splitlines()) + "\n"


@contextmanager
def _settings() -> Iterator[None]:
    """Our own settings of matplotlib: the reader's matplotlibrc must not change the bytes."""
    import matplotlib.style

    with matplotlib.style.context(["default", SETTINGS]), warnings.catch_warnings():
        # a viewer draws glyphs that the measuring font lacks
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from")
        yield


def curves_figure(board: Board) -> Figure:
    """The same picture as a matplotlib figure, which belongs to no window."""
    from matplotlib.figure import Figure

    groups = board.groups
    styles = _styles(groups)
    drawn = [(group, names, _title(group, number)) for group in groups for number, names in enumerate(panels(group))]
    across = min(2, len(drawn))
    down = ceil(len(drawn) / across)
    with _settings():
        written = {entry: literal(entry, _NAME_WIDTH) for entry in styles}
        lines = [line for name in written.values() for line in name.split("\n")]
        size = (6.0 * across + 0.9 + 0.088 * max(map(len, lines)), max(4.0 * down, 0.2 * len(lines) + 0.4))
        figure = Figure(figsize=size, layout="constrained")
        axes = list(figure.subplots(down, across, squeeze=False).flat)
        handles: dict[str, Line2D] = {}
        for panel, (group, names, title) in zip(axes, drawn, strict=False):
            handles |= _panel(panel, group, names, title, styles)
        for panel in axes[len(drawn) :]:
            panel.set_axis_off()
        ordered = {entry: handles[entry] for entry in styles if entry in handles}
        if ordered:
            # names are set afterwards: a legend drops labels that begin with an underscore
            legend = figure.legend(
                list(ordered.values()),
                [str(number) for number in range(len(ordered))],
                loc="outside right upper",
                frameon=False,
                handlelength=3.2,
            )
            for text, entry in zip(legend.get_texts(), ordered, strict=True):
                text.set_text(written[entry])
    return figure


def axis_range(shown: Sequence[Interval], higher: bool) -> tuple[float, float]:
    """The values that an axis must show: at most 15 % of the means are left out, at the worse end only.

    Means are left out where the rest then needs a third of the room: a collapsed network must not squash the others.
    Intervals widen the range by half on either side, or until the middle one fits: with two seeds they can be huge.
    """
    ordered = sorted((interval.mean for interval in shown), reverse=not higher)
    left_out = 0
    for candidate in range(1, int(_OUTLIERS * len(ordered)) + 1):
        if 3 * abs(ordered[-1] - ordered[candidate]) <= abs(ordered[-1] - ordered[left_out]):
            left_out = candidate
    kept = ordered[left_out:]
    least, most = min(kept), max(kept)
    spans = [(i.low, i.high) for i in shown if i.low is not None and i.high is not None and least <= i.mean <= most]
    middle = median(high - low for low, high in spans) / 2 if spans else 0.0
    room = max((most - least) / 2, 1.2 * middle)
    low = max(least - room, min([least, *(low for low, _ in spans)]))
    high = min(most + room, max([most, *(high for _, high in spans)]))
    margin = 0.06 * (high - low) or 0.01 * abs(high) or 1.0
    return low - margin, high + margin


def panels(group: Group) -> list[tuple[str, ...]]:
    """The entries of each panel: the dense ones in all, the others in the order of the table, at most nine in one."""
    own = [name for name in group.order if any(cell.trials for cell in group.entries[name].cells.values())]
    count = max(1, ceil(len(own) / _CURVES))
    size = ceil(len(own) / count)
    return [(*group.references, *own[start : start + size]) for start in range(0, max(1, len(own)), max(1, size))]


def banded(group: Group) -> bool:
    """Whether intervals are bands: not where two entries' overlap, since bands on one another cannot be told apart."""
    for place in group.places:
        if place == 1.0:
            continue
        found = [entry.cells[place].interval for entry in group.entries.values() if place in entry.cells]
        spans = sorted((i.low, i.high) for i in found if i is not None and i.low is not None and i.high is not None)
        if any(after[0] < before[1] for before, after in pairwise(spans)):
            return False
    return True


def aside(group: Group, entry: str) -> float:
    """A factor on its places that sets an entry beside the others of its panel, where they would cover each other.

    That is where their intervals are bars, and where there is one place only. Ticks stay where they are.
    """
    places = sorted((place for place in group.places if place < 1), reverse=True)
    if entry in group.references or not places or (len(places) > 1 and banded(group)):
        return 1.0
    names = [name for name in next((p for p in panels(group) if entry in p), ()) if name not in group.references]
    if entry not in names:
        return 1.0
    number = names.index(entry) - (len(names) - 1) / 2
    if len(places) == 1:
        return float(max(max(group.places) / places[0], 1.2) ** (-0.3 * number / max(len(names), 4)))
    nearest = min(log(a / b) for a, b in pairwise(places))
    step = min(0.6 * nearest / len(names), 0.012 * log(places[0] / places[-1]))
    return exp(-step * number)


def _title(group: Group, panel: int) -> str:
    title = f"{group.model} on {group.data}"
    parts = [[name for name in names if name not in group.references] for names in panels(group)]
    if len(parts) == 1:
        return title
    first = sum(map(len, parts[:panel])) + 1
    return f"{title}: {first} to {first + len(parts[panel]) - 1} of {sum(map(len, parts))}"


def _styles(groups: Sequence[Group]) -> dict[str, Style]:
    """One style an entry in all panels: colours repeat after seven, with another stroke; markers after twelve."""
    references = list(dict.fromkeys(entry for group in groups for entry in group.references))
    ranked = [e for e in dict.fromkeys(e for group in groups for e in group.ranked) if e not in references]
    styles = {entry: Style(_DENSE[i % len(_DENSE)], "", "--") for i, entry in enumerate(references)}
    for i, entry in enumerate(ranked):
        stroke = _STROKES[i // len(_COLOURS) % len(_STROKES)]
        styles[entry] = Style(_COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)], stroke)
    return styles


def _panel(axes: Axes, group: Group, names: Sequence[str], title: str, styles: dict[str, Style]) -> dict[str, Line2D]:
    """Draw some entries of a group, on the scale of all of them; the legend's handles by entry."""
    metric = group.metric
    axes.set_title(literal(title, 60), fontsize=11)
    axes.set_xlabel(AXES[group.axis])
    axes.set_ylabel(literal(metric.title, 48))
    curves = {entry.name: list(_points(group, entry)) for entry in group.entries.values()}
    shown = [point.interval for curve in curves.values() for point in curve if point.interval is not None]
    if not shown:
        axes.set_axis_off()
        axes.text(0.5, 0.5, "no trial is ok", ha="center", transform=axes.transAxes)
        return {}
    low, high = axis_range(shown, metric.higher)
    _place_axis(axes, group)
    handles = {}
    bands = banded(group)
    for name, curve in curves.items():
        if not curve or name not in names:
            continue
        if group.entries[name].dense:
            handles[name] = _reference(axes, curve[0], styles[name])
        else:
            handles[name] = _curve(axes, curve, styles[name], (low, high), metric.higher, bands)
    axes.set_ylim(low, high)
    axes.ticklabel_format(axis="y", useOffset=False, style="plain")
    return {entry: handle for entry, handle in handles.items() if handle is not None}


def _points(group: Group, entry: Entry) -> Iterator[Point]:
    beside = aside(group, entry.name)
    for place, cell in entry.cells.items():
        if cell.trials:
            at = place * beside if place < 1 else place
            factor, between = group.metric.factor, cell.neighbours
            chord = None if between is None else (between.places, _scaled(between.values, factor))
            yield Point(at, printed(cell.interval, group.metric), not cell.broken, chord)


def _scaled(pair: tuple[float, float], factor: float) -> tuple[float, float]:
    return factor * pair[0], factor * pair[1]


def printed(interval: Interval | None, metric: Metric) -> Interval | None:
    """An interval in the metric's printed unit."""
    if interval is None:
        return None
    low, high = (None if end is None else metric.factor * end for end in (interval.low, interval.high))
    return Interval(metric.factor * interval.mean, low, high, interval.n)


def _place_axis(axes: Axes, group: Group) -> None:
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    most, least = max(group.places), min(group.places)
    span = log(most / least)
    alone = sum(place < 1 for place in group.places) < 2
    margin = max(most / least, 1.2) ** (0.2 if alone else 0.04)
    axes.set_xlim(most * margin, least / margin)
    # a label is left away where it would touch the one before; its tick stays
    names, last = [], float("inf")
    for column in group.columns:
        apart = log(last / column.place) >= 0.055 * span if last != float("inf") else True
        names.append(column.label if apart else "")
        last = column.place if apart else last
    crowded = sum(map(bool, names)) > 9
    axes.set_xticks(list(group.places), names)
    axes.tick_params(axis="x", labelrotation=45 if crowded else 0)
    if crowded:
        for label in axes.get_xticklabels():
            label.set_horizontalalignment("right")
            label.set_rotation_mode("anchor")


def _reference(axes: Axes, point: Point, style: Style) -> Line2D | None:
    interval = point.interval
    if interval is None:
        return None
    if interval.low is not None and interval.high is not None:
        axes.axhspan(interval.low, interval.high, color=style.colour, alpha=0.10, linewidth=0)
    return axes.axhline(interval.mean, color=style.colour, linestyle="--", linewidth=1.4)


def _curve(
    axes: Axes, curve: Sequence[Point], style: Style, limits: tuple[float, float], higher: bool, bands: bool
) -> Line2D:
    from matplotlib.lines import Line2D

    line: dict[str, Any] = {"color": style.colour, "linestyle": style.stroke, "linewidth": 1.6}
    mark: dict[str, Any] = {
        "color": style.colour,
        "marker": style.marker,
        "linestyle": "none",
        "markersize": 5.5,
        "zorder": 4,
    }
    for stretch in _stretches(curve):
        densities = [density for density, _ in stretch]
        axes.plot(densities, [interval.mean for _, interval in stretch], zorder=3, **line)
        spans = [(d, i.low, i.high) for d, i in stretch if i.low is not None and i.high is not None]
        if bands and len(spans) == len(stretch) > 1:
            lows, highs = [low for _, low, _ in spans], [high for _, _, high in spans]
            axes.fill_between(densities, lows, highs, color=style.colour, alpha=0.15, linewidth=0)
        else:
            for density, low, high in spans:
                axes.plot([density, density], [low, high], color=style.colour, linewidth=1.2, marker="_", markersize=5)
    worse_end, triangle = (limits[0], "v") if higher else (limits[1], "^")
    for point in curve:
        solid = point.whole and point.chord is None
        inside: dict[str, Any] = {"markerfacecolor": style.colour if solid else "white", "markeredgewidth": 1.3}
        if point.chord is not None and point.interval is not None:
            ends: dict[str, Any] = {"linestyle": ":", "linewidth": 0.9, "marker": "|", "markersize": 5, "zorder": 2}
            axes.plot(*point.chord, color=style.colour, **ends)
            axes.plot([point.place], [point.interval.mean], marker=".", markersize=3, color=style.colour, zorder=5)
        if point.interval is None:
            look: dict[str, Any] = {**mark, "marker": "x", "markersize": 8, "markeredgewidth": 1.8, "clip_on": False}
            axes.plot([point.place], [worse_end], **look)
        elif limits[0] <= point.interval.mean <= limits[1]:
            axes.plot([point.place], [point.interval.mean], **{**mark, **inside})
        else:
            axes.plot(
                [point.place],
                [worse_end],
                **{**mark, **inside, "marker": triangle, "markersize": 10, "clip_on": False},
            )
    return Line2D([], [], **{**mark, **line})


def _stretches(curve: Sequence[Point]) -> list[list[tuple[float, Interval]]]:
    """A curve cut where no trial is ok: a line drawn across would hide that."""
    stretches: list[list[tuple[float, Interval]]] = [[]]
    for point in curve:
        if point.interval is None:
            stretches.append([])
        else:
            stretches[-1].append((point.place, point.interval))
    return [stretch for stretch in stretches if stretch]


def literal(text: str, width: int) -> str:
    """Any text as itself, in lines of at most this width; `$` would begin mathematics."""
    lines = wrap(plain(text), width, break_on_hyphens=True) or [""]
    return "\n".join(lines).replace("$", r"\$")
