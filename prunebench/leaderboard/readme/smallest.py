"""The smallest density at which an entry still has the dense network's value."""

from __future__ import annotations

from collections.abc import Mapping

from prunebench.api.board import Board, Group, Smallest
from prunebench.api.report import NOTHING, escape, table


def smallest_table(group: Group, board: Board) -> str:
    """The smallest densities by test and by seed; or why there is none."""
    if group.reference is None:
        return "None: there is no dense reference with an ok trial to hold on to."
    lines = [
        [escape(name), *_line(group, kept)]
        for name in group.order
        if (kept := group.entries[name].smallest) is not None
    ]
    worse = "below" if group.metric.higher else "above"
    caption = (
        f"By test: the smallest evaluated density at which no trial broke and a one-sided t-test, paired by seed, does "
        f"not show {escape(group.metric.name)} to be {worse} {escape(group.reference)} at level {board.alpha:g}, as "
        "long as all larger evaluated densities hold too. The tests are not corrected: more of them only end the walk "
        "sooner. With few seeds a test misses much, so this is where a loss was not shown, not where there is none. By "
        f"seed: the smallest density at which that seed's value is not {worse} its own dense value, without any "
        "margin, all larger ones included; least to greatest over seeds. none: the first density fails already."
    )
    return "\n\n".join([caption, table(["entry", "by test", "by seed", "each seed"], lines, "lrrl")])


def _line(group: Group, kept: Smallest) -> list[str]:
    seeds = [f"{seed}: {_label(group, place)}" for seed, place in kept.by_seed.items()]
    untested = "one seed: no test" if kept.by_seed else "nothing to test"
    tested = _label(group, kept.tested) if kept.testable else untested
    return [tested, _range(group, kept.by_seed), ", ".join(seeds) or NOTHING]


def _range(group: Group, by_seed: Mapping[int, float | None]) -> str:
    if not by_seed:
        return NOTHING
    # a seed that never holds is worse than any density
    ordered = sorted(by_seed.values(), key=lambda place: 2.0 if place is None else place)
    least, most = _label(group, ordered[0]), _label(group, ordered[-1])
    return least if least == most else f"{least} to {most}"


def _label(group: Group, place: float | None) -> str:
    return "none" if place is None else group.labels[place]
