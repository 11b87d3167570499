"""Drawing that analyses share: the same numbers always give the same bytes, and a page's text stays text."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Canvas
    from numpy.typing import NDArray

LEGEND = 12
"""Layers that a legend can still name; beyond, a colour bar from the first layer to the last takes its place."""

PANELS = 4
"""Layers that have a panel of their own, and distributions that one panel can still hold."""


def canvas(width: float, height: float) -> Canvas:
    """An empty picture, sizes in inches, that makes room for what is written on it."""
    from matplotlib.figure import Figure as Canvas

    return Canvas(figsize=(width, height), layout="constrained")


def to_svg(picture: Canvas, salt: str) -> str:
    """The picture as SVG text, the same for the same picture and salt."""
    import matplotlib as mpl

    text = io.StringIO()
    # Without a salt and a date of its own the same numbers would give another file each time.
    with mpl.rc_context({"svg.hashsalt": salt, "svg.fonttype": "none"}):
        picture.savefig(text, format="svg", metadata={"Date": None})
    return text.getvalue()


def in_order(count: int) -> NDArray[np.float64]:
    """Colours for things that have an order, the first the darkest."""
    import matplotlib as mpl
    import numpy as np

    # The end of the map is too pale for a line on white.
    colours: NDArray[np.float64] = mpl.colormaps["viridis"](np.linspace(0, 0.9, count))
    return colours


def evenly(count: int, most: int) -> list[int]:
    """At most `most` of 0 to count - 1, evenly spread, the first and the last among them."""
    if count <= most:
        return list(range(count))
    return [round(i * (count - 1) / (most - 1)) for i in range(most)]


def edges_of(groups: Sequence[NDArray[np.float64]], bins: int) -> NDArray[np.float64]:
    """Even bins over each group but for the outermost 0.2 % of it at either side."""
    import numpy as np

    ends = [np.quantile(values, [0.002, 0.998]) for values in groups if values.size] or [np.zeros(2)]
    low, high = min(end[0] for end in ends), max(end[1] for end in ends)
    # Equal values have no range, and nearly equal ones none that floats divide.
    least = 1e-9 * max(abs(low), abs(high), 1e-9)
    return np.linspace(low, high, bins + 1) if high - low > least else np.linspace(low - 0.5, high + 0.5, bins + 1)


def outline(axes: Axes, values: NDArray[np.float64], edges: NDArray[np.float64], **style: Any) -> None:
    """The outline of a histogram that is a density: its area is the share of the values between the edges."""
    import numpy as np

    counts, _ = np.histogram(values, edges)
    # No values have a line along the bottom, and so their place in the legend.
    axes.stairs(counts / (max(1, values.size) * np.diff(edges)), edges, **style)


def panel(axes: Axes, layer: str = "") -> None:
    """A small panel, of a layer where it has a title: few enough ticks, and a name that is no wider than it is."""
    from matplotlib.ticker import MaxNLocator

    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.grid(alpha=0.3)
    name = layer if len(layer) <= 38 else f"…{layer[-37:]}"
    axes.set_title(name, fontsize="medium" if len(name) <= 28 else "small")


def name_layers(picture: Canvas, axes: Axes, names: Sequence[str]) -> None:
    """Say which colour of `in_order` is which layer: by the lines' labels, or by a bar where they are too many."""
    if len(names) <= LEGEND:
        picture.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize="small")
        return
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import ListedColormap

    bar = picture.colorbar(ScalarMappable(cmap=ListedColormap(in_order(len(names)))), ax=axes)
    bar.set_ticks([])
    label = f"layer, from {names[0]} to {names[-1]}"
    # Two long names are longer than the bar.
    bar.set_label(label if len(label) <= 40 else label.replace(" to ", "\nto "))


def legend_below(picture: Canvas, axes: Axes) -> None:
    """One legend for all panels, below them, in as few rows as fit."""
    handles, labels = axes.get_legend_handles_labels()
    longest = max(len(label) for label in labels)
    # A letter is about 0.065 inches wide, and the line before it takes half an inch.
    columns = max(1, int(picture.get_figwidth() / (0.065 * longest + 0.6)))
    picture.legend(handles, labels, loc="outside lower center", ncols=min(columns, len(labels)), fontsize="small")


def shown(names: Sequence[str], all_names: Sequence[str]) -> str:
    """The end of a caption where only some layers have a panel."""
    return "" if len(names) == len(all_names) else f" {len(names)} of {len(all_names)} layers are shown."
