"""The smallest density at which an entry still has the dense network's value."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from prunebench.leaderboard.cells import Group
from prunebench.leaderboard.markdown import escape, table
from prunebench.leaderboard.metrics import Metric
from prunebench.leaderboard.tables import NOTHING, order
from prunebench.stats.student import below, paired


@dataclass(frozen=True)
class Smallest:
    """How far an entry keeps the dense value.

    Args:
        tested: the smallest density by the test over seeds; None if the first one fails or nothing can be tested.
        testable: whether some density had two seeds or more in common with the dense network.
        by_seed: each seed's own smallest density; None where the first one is already worse.
    """

    tested: float | None
    testable: bool
    by_seed: Mapping[int, float | None]


def smallest(group: Group, entry: str, dense: str, metric: Metric, alpha: float) -> Smallest:
    """Walk from dense to sparse and stop at the first density that does not hold.

    Over seeds a density holds unless a trial there is not ok, or the one-sided paired t-test at alpha shows the value
    to be worse than dense; for one seed it holds unless its value is worse than that seed's dense value.
    """
    sign = 1.0 if metric.higher else -1.0
    reference = {seed: sign * value for seed, value in group.at(dense, 1.0).values.items()}
    walked = [(d, group.at(entry, d)) for d in group.densities if d < 1 and group.at(entry, d).trials]
    tested, testable, holds = None, False, True
    by_seed: dict[int, float | None] = dict.fromkeys(sorted(reference))
    going = set(reference)
    for density, cell in walked:
        values = {seed: sign * value for seed, value in cell.values.items()}
        common = values.keys() & reference.keys()
        p = below(paired(values, reference, alpha)) if common else None
        testable = testable or p is not None
        holds = holds and not cell.broken and p is not None and p >= alpha
        tested = density if holds else tested
        going = {seed for seed in going & common if values[seed] >= reference[seed]}
        by_seed |= dict.fromkeys(going, density)
    tried = {seed for _, cell in walked for seed in (*cell.values, *cell.broken)}
    return Smallest(tested, testable, {seed: by_seed[seed] for seed in sorted(tried & reference.keys())})


def smallest_table(group: Group, metric: Metric, against: str | None, alpha: float) -> str:
    """The smallest densities by test and by seed; or why there is none."""
    dense = against if against in group.dense else next(iter(group.references), None)
    if dense is None or not group.at(dense, 1.0).values:
        return "None: there is no dense reference with an ok trial to hold on to."
    lines = []
    for entry in order(group, metric, alpha):
        found = smallest(group, entry, dense, metric, alpha)
        seeds = [f"{seed}: {_label(group, density)}" for seed, density in found.by_seed.items()]
        tested = _label(group, found.tested) if found.testable else "one seed: no test"
        lines.append([escape(entry), tested, _range(group, found.by_seed), ", ".join(seeds) or NOTHING])
    worse = "below" if metric.higher else "above"
    caption = (
        f"By test: the smallest evaluated density at which no trial broke and a one-sided t-test, paired by seed, does "
        f"not show {escape(metric.name)} to be {worse} {escape(dense)} at level {alpha:g}, as long as all larger "
        "evaluated densities hold too. The tests are not corrected: more of them only end the walk sooner. With few "
        "seeds a test misses much, so this is where a loss was not shown, not where there is none. By seed: the "
        f"smallest density at which that seed's value is not {worse} its own dense value, without any margin, all "
        "larger ones included; least to greatest over seeds. none: the first density fails already."
    )
    return "\n\n".join([caption, table(["entry", "by test", "by seed", "each seed"], lines, "lrrl")])


def _range(group: Group, by_seed: Mapping[int, float | None]) -> str:
    if not by_seed:
        return NOTHING
    # a seed that never holds is worse than any density
    ordered = sorted(by_seed.values(), key=lambda density: 2.0 if density is None else density)
    least, most = _label(group, ordered[0]), _label(group, ordered[-1])
    return least if least == most else f"{least} to {most}"


def _label(group: Group, density: float | None) -> str:
    return "none" if density is None else group.labels[density]
