"""Mean ranks on a line, with bars over the entries that Nemenyi's test does not tell apart, as SVG text."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from io import StringIO
from math import ceil
from typing import TYPE_CHECKING

from prunebench.api.board import Blocks
from prunebench.api.report.curves import SETTINGS, literal

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_NAME_WIDTH = 28


def cliques(ranks: Sequence[float], critical: float) -> list[tuple[int, int]]:
    """The longest runs (first, last) of ascending mean ranks that lie within the critical difference."""
    runs: list[tuple[int, int]] = []
    for first, low in enumerate(ranks):
        last = max(place for place, rank in enumerate(ranks) if rank - low <= critical)
        if last > first and (not runs or last > runs[-1][1]):
            runs.append((first, last))
    return runs


def draw_ranks(blocks: Blocks) -> str:
    """The critical-difference picture: SVG with text as text, equal bytes for equal input. It needs a test.

    Source: Demšar 2006, figure 1.
    """
    import matplotlib.style
    from matplotlib.figure import Figure

    assert blocks.critical is not None
    entries, ranks = list(blocks.mean_ranks), list(blocks.mean_ranks.values())
    bars = cliques(ranks, blocks.critical)
    deep = ceil(len(entries) / 2)
    height = 1.5 + 0.16 * len(bars) + 0.3 * deep
    with matplotlib.style.context(["default", SETTINGS]), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=r"Glyph \d+ .*missing from")
        figure = Figure(figsize=(10.0, height))
        axes = figure.add_axes((0.28, 0.0, 0.44, 1.0))
        axes.set_axis_off()
        axes.set_xlim(1.0, float(len(entries)))
        axes.set_ylim(-height, 0.0)
        _scale(axes, len(entries), blocks.critical)
        for row, (first, last) in enumerate(bars):
            depth = -1.15 - 0.16 * row
            axes.plot([ranks[first], ranks[last]], [depth, depth], color="#333333", linewidth=4.0, clip_on=False)
        below = -1.25 - 0.16 * len(bars)
        for place, (entry, rank) in enumerate(zip(entries, ranks, strict=True)):
            left = place < deep
            _name(axes, entry, rank, below - 0.3 * (place if left else len(entries) - 1 - place), len(entries), left)
        picture = StringIO()
        figure.savefig(picture, format="svg", metadata={"Date": None, "Creator": None})
    return "\n".join(line.rstrip() for line in picture.getvalue().splitlines()) + "\n"


def _scale(axes: Axes, entries: int, critical: float) -> None:
    span = min(critical, entries - 1.0)
    axes.plot([1.0, 1.0 + span], [-0.25, -0.25], color="#D55E00", linewidth=2.0, marker="|", clip_on=False)
    axes.text(1.0 + span / 2, -0.2, f"critical difference {critical:.2f}", ha="center", va="bottom", fontsize=9)
    axes.plot([1.0, float(entries)], [-0.9, -0.9], color="#333333", linewidth=1.0, clip_on=False)
    axes.text(entries, -0.5, "mean rank, 1 being best", ha="right", va="bottom", fontsize=9)
    step = max(1, entries // 12)
    for rank in range(1, entries + 1, step):
        axes.plot([rank, rank], [-0.9, -0.8], color="#333333", linewidth=1.0, clip_on=False)
        axes.text(rank, -0.76, str(rank), ha="center", va="bottom", fontsize=9)


def _name(axes: Axes, entry: str, rank: float, depth: float, entries: int, left: bool) -> None:
    room = 0.02 * (entries - 1)
    end = 1.0 - room if left else entries + room
    axes.plot([rank, rank, end], [-0.9, depth, depth], color="#777777", linewidth=0.9, clip_on=False)
    name = literal(entry, _NAME_WIDTH).split("\n")
    shown = name[0] + (" …" if len(name) > 1 else "")
    text = f"{shown}  {rank:.2f}" if left else f"{rank:.2f}  {shown}"
    axes.text(end - room if left else end + room, depth, text, ha="right" if left else "left", va="center", fontsize=9)
