"""Pictures of utilities: over a training, by ratio, by magnitude, and their distributions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from prunebench import Figure
from prunebench_plugins.analyses import _figures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from prunebench_plugins.analyses._utility import Measured

LABELS = {
    "sd": "imbalance (sd of utility, nats)",
    "mean": "mean utility (nats)",
    "minimum": "minimum utility (nats)",
    "accuracy_mean": "training accuracy without them",
}

OF = {"ratio": "ratio of ablated weights", "number": "ablated, as a share of the full-size network"}


def figures(places: Sequence[Measured], by: str, said: str) -> Iterator[Figure]:
    """The pictures of the states of one run, and of the dense run's end if that was measured."""
    trained = [place for place in places if not place.kind]
    pretrained = [place for place in places if place.kind]
    if by == "magnitude":
        yield by_magnitude([trained[-1], *pretrained], said)
        return
    if len(trained) > 1:
        yield over_training(trained, by, said)
    shown = [*(trained[i] for i in _figures.evenly(len(trained), _figures.PANELS - len(pretrained))), *pretrained]
    yield by_ratio(shown, by, said)
    yield histograms(shown, by, said)


def over_training(trained: Sequence[Measured], by: str, said: str) -> Figure:
    """Imbalance, mean, minimum and accuracy at positions of a run, a line for each ratio (figures 2 and 7)."""
    from matplotlib.ticker import MaxNLocator

    picture = _figures.canvas(9.4, 6.2)
    panels = picture.subplots(2, 2).flat
    ratios = list(trained[0].samples)
    at = [int(place.position.removesuffix("it")) for place in trained]
    for axes, (name, label) in zip(panels, LABELS.items(), strict=True):
        for ratio, colour in zip(ratios, _figures.in_order(len(ratios)), strict=True):
            values = [place.samples[ratio].statistics().get(name) for place in trained]
            _line(axes, at, values, color=colour, label=f"{ratio:g}")
        if name == "accuracy_mean":
            _whole(axes, at, [place.accuracy for place in trained])
        _panel(axes, name, label)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_xlabel("iteration")
    handles, labels = axes.get_legend_handles_labels()
    picture.legend(handles, labels, title=OF[by], loc="outside lower center", ncols=len(labels), fontsize="small")
    caption = f"Utility of random sets of weights during training, by {OF[by]}. {said}"
    return Figure(f"utility-over-training-by-{by}", _figures.to_svg(picture, "utility-over-training"), caption)


def by_ratio(shown: Sequence[Measured], by: str, said: str) -> Figure:
    """Imbalance, mean and accuracy by ratio, a line for each state (figures 1, 3 and 5); bars are the extremes."""
    picture = _figures.canvas(11.0, 3.8)
    panels = picture.subplots(1, 3).flat
    for axes, name in zip(panels, ("sd", "mean", "accuracy_mean"), strict=True):
        for place, colour in zip(shown, _figures.in_order(len(shown)), strict=True):
            found = {ratio: sample.statistics() for ratio, sample in place.samples.items()}
            values = [one.get(name) for one in found.values()]
            _line(axes, list(found), values, color=colour, label=_named(place))
            if name == "accuracy_mean":
                # A mean of equal accuracies may round to less than any of them.
                low = [max(0.0, one["accuracy_mean"] - one["accuracy_minimum"]) for one in found.values()]
                high = [max(0.0, one["accuracy_maximum"] - one["accuracy_mean"]) for one in found.values()]
                middle = [one["accuracy_mean"] for one in found.values()]
                axes.errorbar(list(found), middle, (low, high), fmt="none", ecolor=colour, capsize=3, linewidth=1)
        _panel(axes, name, LABELS[name], log=False)
        axes.set_xlim(left=0)
        axes.set_xlabel(OF[by])
    _figures.legend_below(picture, axes)
    caption = f"Utility and training accuracy when random sets of weights are ablated; bars are extremes. {said}"
    return Figure(f"utility-by-{by}", _figures.to_svg(picture, "utility-by-ratio"), caption)


def histograms(shown: Sequence[Measured], by: str, said: str) -> Figure:
    """A panel for each ratio, the distributions of the states over each other (figures 4 and 14)."""
    import numpy as np

    ratios = list(shown[0].samples)
    columns = min(3, len(ratios))
    rows = -(-len(ratios) // columns)
    picture = _figures.canvas(0.6 + 3.2 * columns, 0.8 + 2.5 * rows)
    panels = list(picture.subplots(rows, columns, squeeze=False).flat)
    for axes in panels[len(ratios) :]:
        axes.remove()
    for axes, ratio in zip(panels, ratios, strict=False):
        groups = [np.array([u for u in place.samples[ratio].utilities if np.isfinite(u)]) for place in shown]
        edges = _figures.edges_of(groups, 30)
        for place, values, colour in zip(shown, groups, _figures.in_order(len(shown)), strict=True):
            _figures.outline(axes, values, edges, color=colour, label=_named(place), linewidth=1.4)
        axes.set_ylim(bottom=0)
        _figures.panel(axes, f"ratio {ratio:g}")
        axes.set_xlabel("utility (nats)")
    for axes in panels[: len(ratios) : columns]:
        axes.set_ylabel("density of the distribution")
    _figures.legend_below(picture, panels[0])
    caption = f"Distributions of the utility of random sets of weights, a panel for each {OF[by]}. {said}"
    return Figure(f"utility-histograms-by-{by}", _figures.to_svg(picture, "utility-histograms"), caption)


def by_magnitude(shown: Sequence[Measured], said: str) -> Figure:
    """Accuracy and utility without an interval of the weights sorted by magnitude (figure 1, right)."""
    picture = _figures.canvas(10.0, 4.2)
    left, right = picture.subplots(1, 2)
    ratios = list(shown[0].samples)
    for place, style in zip(shown, ("-", "--"), strict=False):
        for ratio, colour in zip(ratios, _figures.in_order(len(ratios)), strict=True):
            # The middle of an interval: the last of each width ends at 1.
            middles = [start + ratio / 2 for start in place.starts[ratio]]
            sample = place.samples[ratio]
            label = f"{ratio:g}" + (f", {_named(place)}" if len(shown) > 1 else "")
            left.plot(middles, sample.accuracies, style, color=colour, marker=".", markersize=3)
            right.plot(middles, sample.utilities, style, color=colour, marker=".", markersize=3, label=label)
    left.set_ylim(0, 1.03)
    left.set_ylabel(LABELS["accuracy_mean"])
    right.set_ylabel("utility (nats)")
    right.set_yscale("symlog", linthresh=1e-4)
    for axes in (left, right):
        axes.set_xlim(0, 1)
        axes.set_xlabel("rank by magnitude, from smallest to largest")
        axes.grid(alpha=0.3)
    handles, labels = right.get_legend_handles_labels()
    picture.legend(handles, labels, title="share that is ablated", loc="outside right upper", fontsize="small")
    caption = f"Training accuracy and utility when an interval of the weights sorted by magnitude is ablated. {said}"
    return Figure("utility-by-magnitude", _figures.to_svg(picture, "utility-by-magnitude"), caption)


def _line(axes: Axes, at: Sequence[float], values: Sequence[float | None], **style: Any) -> None:
    """A line through what there is: infinite statistics are missing."""
    there = [(x, y) for x, y in zip(at, values, strict=True) if y is not None]
    axes.plot([x for x, _ in there], [y for _, y in there], marker=".", linewidth=1.4, **style)


def _whole(axes: Axes, at: Sequence[float], values: Sequence[float]) -> None:
    axes.plot(at, values, color="black", linestyle="--", linewidth=1.2, label="nothing ablated")


def _panel(axes: Axes, name: str, label: str, log: bool = True) -> None:
    axes.set_ylabel(label)
    axes.grid(alpha=0.3)
    if name == "accuracy_mean":
        axes.set_ylim(0, 1.03)
    elif log:
        # The ratios' utilities are orders of magnitude apart.
        axes.set_yscale("symlog", linthresh=1e-4)
    else:
        axes.set_ylim(bottom=0)


def _named(place: Measured) -> str:
    return "pretrained" if place.kind else f"iteration {int(place.position.removesuffix('it')):,}"
