"""Movement: how far training carries the weights that a ticket keeps, and those that it drops.

`kept` and `pruned` compare the first and the last state of the dense run, for the mask of each round's ticket; `judged`
compares those of the run in which the ticket itself is judged. A movement is measured twice: `absolute` is
|end - start|, `outward` is |end| - |start|, above 0 for a weight that moved away from zero.

Source: Frankle & Carbin 2019, appendix F.5, figures 19 and 20.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prunebench import Component, Figure, Measurement, hookimpl
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs, Optimum
from prunebench_plugins.analyses import _figures, _weights
from prunebench_plugins.analyses._rounds import DrawnRoundsConfig

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch import Tensor

    from prunebench.api.masks import Units
    from prunebench.api.planning import Needs, Request

KINDS = {"absolute": "|end − start|", "outward": "|end| − |start|"}
STYLES = {
    "kept": ("kept by the ticket, dense run", "tab:orange", "-"),
    "pruned": ("pruned, dense run", "tab:blue", "-"),
    "judged": ("kept, the ticket's own run", "tab:green", "--"),
}


class MovementConfig(DrawnRoundsConfig):
    """`rounds`: for whose tickets the distributions are drawn; for the last one if left out. All are measured."""


class Movement:
    """Compares the two ends of runs."""

    def __init__(self, config: MovementConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The two ends of the dense find run and of the runs that judge tickets (draw 0), and the tickets' masks.

        Raises:
            PlanError: a round is to be drawn that prunes nothing.
        """
        from prunebench.api.planning import Needs, TrainedPoint

        self._config.check("movement", (ticket.round for ticket in request.tickets if ticket.mask is not None))
        dense = _weights.dense_run(request.chain)
        judged = [e for e in request.evaluations if e.draw == 0]
        return Needs(
            {
                "tickets": request.tickets,
                "dense": [
                    TrainedPoint(dense.ticket.weights, None, 0, "start"),
                    TrainedPoint(dense.end, dense.end_mask, 0, "end"),
                ],
                "judged_start": [e.run.ticket.replace(round=e.round) for e in judged],
                "judged_end": [TrainedPoint(e.run.end, e.mask, e.round) for e in judged],
            }
        )

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, units: Units) -> Analysis:
        """Means of `kept`, `pruned` and `judged` by kind and round, of all weights and of each layer.

        `ratio` is the mean absolute movement of the kept over that of the pruned weights.
        """
        start, end = inputs["dense"]
        dense = Change.between(start, end, units)
        means: dict[tuple[str, int], dict[str, float]] = {}
        tickets = sorted(inputs["tickets"], key=lambda ticket: ticket.round)
        for ticket in tickets:
            kept = _weights.kept_weights(units, ticket.mask)
            means["kept", ticket.round] = dense.means(kept)
            means["pruned", ticket.round] = dense.means({name: ~keep for name, keep in kept.items()})
        for first, last in zip(inputs["judged_start"], inputs["judged_end"], strict=True):
            own = Change.between(first, last, units)
            means["judged", last.round] = own.means(_weights.kept_weights(units, last.mask))
        measurements = [
            Measurement(f"{group}/{what}", value, round=round)
            for (group, round), found in means.items()
            for what, value in found.items()
        ]
        measurements += ratios(means)
        figures = [over_rounds(means)]
        pruned = [ticket for ticket in tickets if ticket.mask is not None]
        if self._config.rounds is None:
            figures += [distributions(dense, ticket, units) for ticket in pruned[-1:]]
        else:
            stated = [ticket for ticket in pruned if ticket.round in self._config.rounds]
            figures += [distributions(dense, ticket, units, f"-{ticket.round}") for ticket in stated]
        return Analysis(tuple(measurements), tuple(figures))


@dataclass(frozen=True)
class Change:
    """What a run did to each weight: for each kind of movement a tensor by layer."""

    moved: Mapping[str, Mapping[str, Tensor]]

    @classmethod
    def between(cls, start: Optimum, end: Optimum, units: Units) -> Change:
        """The difference of two states; what a state's mask removes is 0 in it."""
        a, b = masked(start, units), masked(end, units)
        return cls(
            {
                "absolute": {name: (b[name] - a[name]).abs() for name in a},
                "outward": {name: b[name].abs() - a[name].abs() for name in a},
            }
        )

    def means(self, chosen: Mapping[str, Tensor]) -> dict[str, float]:
        """The mean movement of the chosen weights, `KIND` of all and `KIND/LAYER`; none where none is chosen."""
        found = {}
        count = sum(int(which.sum()) for which in chosen.values())
        for kind, moved in self.moved.items():
            if count:
                found[kind] = sum(float(moved[name][which].sum()) for name, which in chosen.items()) / count
            found |= {
                f"{kind}/{name}": float(moved[name][which].mean()) for name, which in chosen.items() if which.any()
            }
        return found


def masked(state: Optimum, units: Units) -> dict[str, Tensor]:
    """The weights of a state in double precision, pruned ones 0."""
    return {
        name: state.weights[name].double() * keep for name, keep in _weights.kept_weights(units, state.mask).items()
    }


def ratios(means: Mapping[tuple[str, int], Mapping[str, float]]) -> Iterator[Measurement]:
    """Kept over pruned of each round that has both."""
    for (group, round), found in means.items():
        others = means["pruned", round] if group == "kept" else {}
        if others.get("absolute", 0.0) > 0 and "absolute" in found:
            yield Measurement("ratio", found["absolute"] / others["absolute"], round=round)


def over_rounds(means: Mapping[tuple[str, int], Mapping[str, float]]) -> Figure:
    """A panel for each kind of movement, a line for each group of weights."""
    from matplotlib.ticker import MaxNLocator

    picture = _figures.canvas(8.0, 3.6)
    for axes, (kind, formula) in zip(picture.subplots(1, 2), KINDS.items(), strict=True):
        for group, (label, colour, dash) in STYLES.items():
            points = sorted((r, found[kind]) for (g, r), found in means.items() if g == group and kind in found)
            axes.plot([r for r, _ in points], [v for _, v in points], dash, marker=".", color=colour, label=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.set_xlabel("round")
        axes.set_ylabel(f"mean {formula}")
        axes.grid(alpha=0.3)
    _figures.legend_below(picture, axes)
    caption = "Mean movement of weights between the first and the last iteration, absolute and away from zero."
    return Figure("movement", _figures.to_svg(picture, "movement"), caption)


def distributions(dense: Change, ticket: Optimum, units: Units, suffix: str = "") -> Figure:
    """The movement in the dense run, by layer, of what the ticket keeps and of what it drops."""
    kept = _weights.kept_weights(units, ticket.mask)
    every = list(kept)
    names = [every[i] for i in _figures.evenly(len(every), _figures.PANELS)]
    picture = _figures.canvas(0.8 + 2.8 * len(names), 5.4)
    panels = picture.subplots(2, len(names), squeeze=False)
    for row, (kind, formula) in zip(panels, KINDS.items(), strict=True):
        for axes, name in zip(row, names, strict=True):
            both(axes, dense.moved[kind][name], kept[name])
            _figures.panel(axes, name if kind == "absolute" else "")
            axes.set_xlabel(formula)
        row[0].set_ylabel("density of the distribution")
    _figures.legend_below(picture, panels[0][0])
    caption = (
        f"Movement of each layer's weights in the dense run, kept or pruned by the ticket of round {ticket.round}."
    )
    name = f"movement-distributions{suffix}"
    svg = _figures.to_svg(picture, name)
    return Figure(name, svg, caption + _figures.shown(names, every))


def both(axes: Axes, moved: Tensor, keep: Tensor) -> None:
    """Two outlines over the same bins."""
    groups = {"pruned": moved[~keep].numpy(), "kept": moved[keep].numpy()}
    edges = _figures.edges_of(list(groups.values()), 50)
    for group, values in groups.items():
        label, colour, _ = STYLES[group]
        _figures.outline(axes, values, edges, color=colour, label=label, linewidth=1.4)
    axes.set_ylim(bottom=0)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `movement`."""
    paper = "Frankle & Carbin 2019, appendix F.5"
    yield Component("movement", MovementConfig, Movement, version=1, paper=paper)
