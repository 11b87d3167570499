"""Each entry against the one above it, and against the one that decided its rank."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

from prunebench.leaderboard.cells import Group
from prunebench.leaderboard.markdown import escape, table
from prunebench.leaderboard.metrics import Metric
from prunebench.leaderboard.ranking import Compared, comparisons, ranking
from prunebench.leaderboard.tables import NOTHING, difference_and_half, level, p_note


def neighbours_table(group: Group, metric: Metric, alpha: float) -> str:
    """Paired differences of the scores that the ranking is by; or why there is none."""
    places = ranking(group, metric, alpha)
    if len(places) < 2 or places[0].rank is None:
        return "None: fewer than two entries are ranked."
    tests = comparisons(group, alpha)
    lines = []
    for above, place in pairwise(places):
        leader = place.leader or above.entry
        lines.append(
            [
                str(place.rank),
                escape(place.entry),
                escape(above.entry),
                _cell(tests, (place.entry, above.entry), metric, alpha),
                *(
                    [NOTHING, NOTHING]
                    if leader == above.entry
                    else [escape(leader), _cell(tests, (place.entry, leader), metric, alpha)]
                ),
            ]
        )
    count = sum(tested.p is not None for tested in tests.values()) // 2
    unit = f", {metric.apart}" if metric.apart else ""
    how = (
        f"mean ± {level(alpha)} interval over seeds, and p of a two-sided t-test, Holm-corrected over all {count} "
        f"pairs of ranked entries. **Bold**: corrected p below {alpha:g}. The intervals are not corrected."
        if count
        else "of one seed each, without interval or test."
    )
    caption = f"Differences of the means that the order is by, paired by seed{unit}: {how}"
    head = [
        "rank",
        "entry",
        "above it",
        "entry minus above",
        "tested against, if another",
        "entry minus that",
    ]
    return "\n\n".join([caption, table(head, lines, "rllrlr")])


def _cell(tests: Mapping[tuple[str, str], Compared], at: tuple[str, str], metric: Metric, alpha: float) -> str:
    tested = tests.get(at)
    if tested is None:
        return "no common seed" if at[0] != at[1] else NOTHING
    text = difference_and_half(tested.pair, metric) + f" (n={tested.pair.n})"
    return text if tested.p is None else p_note(text, tested.p, alpha)
