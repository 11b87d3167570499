"""The pictures of a grid: the best of each set over density, and all cells at each density."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from math import ceil
from statistics import mean
from typing import TYPE_CHECKING

from prunebench.api.board import AXES
from prunebench.api.report import literal
from prunebench.stats.best import Pick, values_of
from prunebench_plugins.analyses import _figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from prunebench_plugins.reports.grid_maxima import Maxima

COLOURS = {"coupled": "#D55E00", "decoupled": "#0072B2"}
MARKERS = {"coupled": "o", "decoupled": "s"}
ACROSS = 4


def over_places(found: Sequence[Maxima], salt: str) -> str:
    """A row for each model and data: the picks of both sets with the naive maxima, and their difference."""
    groups = [list(own) for _, own in groupby(found, key=lambda one: (one.group.model, one.group.data))]
    picture = _figures.canvas(10.0, 3.9 * len(groups))
    for (levels, differences), own in zip(picture.subplots(len(groups), 2, squeeze=False), groups, strict=True):
        group, metric = own[0].group, own[0].metric
        # at one density the two sets would stand on one another
        aside = 1.03 if len(own) == 1 else 1.0
        for name, factor in (("coupled", 1 / aside), ("decoupled", aside)):
            _levels(levels, own, name, factor)
        levels.set_title(literal(f"{group.model} on {group.data}", 60), fontsize="medium")
        levels.set_ylabel(literal(metric.label, 40))
        _differences(differences, own)
        differences.set_title("decoupled minus coupled", fontsize="medium")
        differences.set_ylabel(literal(metric.apart or metric.name, 40))
        for axes in (levels, differences):
            _places(axes, own)
    _figures.legend_below(picture, levels)
    return _figures.to_svg(picture, salt)


def _levels(axes: Axes, own: Sequence[Maxima], name: str, factor: float) -> None:
    colour = COLOURS[name]
    points = [(one, interval) for one in own if (interval := one.levels[name]) is not None]
    scale = own[0].metric.factor
    at = [one.place * factor for one, _ in points]
    axes.plot(at, [scale * i.mean for _, i in points], color=colour, marker=MARKERS[name], label=f"best {name}")
    for one, i in points:
        if i.low is not None and i.high is not None:
            place = one.place * factor
            axes.plot([place, place], [scale * i.low, scale * i.high], color=colour, linewidth=1.2)
    plain = [(one.place * factor, scale * _mean(one.naive[name])) for one in own if one.naive[name]]
    style = {"color": colour, "linewidth": 1.0, "linestyle": (0, (3, 2)), "marker": "_"}
    axes.plot([d for d, _ in plain], [v for _, v in plain], label=f"best {name}, naive", **style)  # type: ignore[arg-type]


def _mean(picks: Mapping[int, Pick]) -> float:
    return mean(values_of(picks).values())


def _differences(axes: Axes, own: Sequence[Maxima]) -> None:
    axes.axhline(0.0, color="#888888", linewidth=1.0)
    scale = own[0].metric.factor
    pairs = [(one.place, one.pair) for one in own if one.pair is not None]
    axes.plot([d for d, _ in pairs], [scale * p.difference for _, p in pairs], color="#333333", marker="D")
    for place, pair in pairs:
        if pair.low is not None and pair.high is not None:
            axes.plot([place, place], [scale * pair.low, scale * pair.high], color="#333333", linewidth=1.2)
    plain = [(one.place, scale * one.plain.difference) for one in own if one.plain is not None]
    style = {"color": "#888888", "linewidth": 1.0, "linestyle": (0, (3, 2)), "marker": "_"}
    axes.plot([d for d, _ in plain], [v for _, v in plain], **style)  # type: ignore[arg-type]


def _places(axes: Axes, own: Sequence[Maxima]) -> None:
    from matplotlib.ticker import NullLocator

    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    places = [one.place for one in own]
    margin = 1.15
    axes.set_xlim(max(places) * margin, min(places) / margin)
    # more labels than these would touch
    named = set(_figures.evenly(len(places), 7))
    axes.set_xticks(places, [own[0].group.labels[at] if i in named else "" for i, at in enumerate(places)])
    axes.tick_params(axis="x", labelrotation=30)
    axes.set_xlabel(AXES[own[0].group.axis])
    axes.grid(axis="y", alpha=0.3)


def cells(found: Sequence[Maxima], values: Sequence[str], salt: str) -> str:
    """A heat map for each density, found with (down) by judged with (across)."""
    import numpy as np

    count = len(values)
    side = max(1.9, 0.62 * count)
    across = min(ACROSS, len(found))
    down = ceil(len(found) / across)
    several = len({(one.group.model, one.group.data) for one in found}) > 1
    picture = _figures.canvas(across * (side + 0.45) + 0.6, down * (side + (0.75 if several else 0.55)) + 0.3)
    panels = list(picture.subplots(down, across, squeeze=False).flat)
    for place, (axes, one) in enumerate(zip(panels, found, strict=False)):
        means = {pair: cell.interval.mean for pair, cell in one.cells.items() if cell.interval is not None}
        grid = np.array([[means.get((f, e), np.nan) for e in values] for f in values]) * one.metric.factor
        _heat(axes, one, grid, values)
        where = f"{one.group.model} on {one.group.data}, " if several else ""
        axes.set_title(literal(f"{where}{one.group.labels[one.place]}", 26), fontsize="small")
        if place % across == 0:
            axes.set_ylabel("found with")
        if place + across >= len(found):
            axes.set_xlabel("judged with")
    for axes in panels[len(found) :]:
        axes.set_axis_off()
    picture.suptitle(literal(f"{found[0].metric.label} by density", 60), fontsize="medium")
    return _figures.to_svg(picture, f"{salt}-cells")


def _heat(axes: Axes, one: Maxima, grid: object, values: Sequence[str]) -> None:
    import numpy as np
    from matplotlib.patches import Rectangle

    shown = np.asarray(grid, dtype=np.float64)
    known = shown[~np.isnan(shown)]
    low, high = (known.min(), known.max()) if known.size else (0.0, 1.0)
    axes.imshow(shown, cmap="viridis", vmin=low, vmax=high if high > low else low + 1.0, aspect="equal")
    axes.set_facecolor("#dddddd")
    axes.set_xticks(range(len(values)), [literal(v, 12) for v in values], fontsize="small")
    axes.set_yticks(range(len(values)), [literal(v, 12) for v in values], fontsize="small")
    for (down, across), value in np.ndenumerate(shown):
        pair = (values[down], values[across])
        if len(values) <= 6:
            star = "★\n" if pair == one.chosen else ""
            broken = len(one.cells[pair].broken)
            lost = f"\n{broken} not ok" if broken else ""
            number = (
                "–" if np.isnan(value) else f"{value:.{min(one.metric.decimals, 1) if one.metric.decimals < 4 else 3}f}"
            )
            light = not np.isnan(value) and value < low + 0.55 * (high - low)
            style = {"ha": "center", "va": "center", "fontsize": "x-small", "color": "white" if light else "black"}
            axes.text(across, down, f"{star}{number}{lost}", **style)  # type: ignore[arg-type]
        if down == across:
            frame = {"fill": False, "edgecolor": COLOURS["coupled"], "linewidth": 2.2}
            axes.add_patch(Rectangle((across - 0.46, down - 0.46), 0.92, 0.92, **frame))  # type: ignore[arg-type]
