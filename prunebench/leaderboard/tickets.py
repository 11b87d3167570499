"""From rows to judged tickets: what one metric says of each at the end of its run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction

from prunebench.api.board import AxisName
from prunebench.api.errors import PrunebenchError
from prunebench.api.results import place_in_run
from prunebench.api.rows import WORST_FIRST, Outcome, Row, RunId, TrialId
from prunebench.api.task import EARLY_STOP, STOPPED_AT

LATENCY_SHARE = "latency_share"
"""What analyses call the share of the dense network's time that a ticket's network takes."""


@dataclass(frozen=True)
class Ticket:
    """A judged ticket of one model and data.

    Args:
        density: of the units that may be pruned; `density_all` and `density_macs` as in `Row`. None where no ticket
            was made.
        outcome: the worst of its rows', of whatever metric.
        value: the metric at the last position; None without one, and where the run diverged or failed.
        latency: the share of the dense network's time that an analysis measured for the round; None without one.
        asked: on the axes of costs, the share that its mask was cut to.
        cut_off: of a metric at early stopping, whether training ended before the validation loss rose again: the true
            stop is later, or there.
    """

    entry: str
    seed: int
    round: int
    draw: int
    density: float | None
    density_all: float | None
    density_macs: float | None
    outcome: Outcome
    value: float | None
    latency: float | None = None
    asked: Mapping[AxisName, float] = field(default_factory=dict, hash=False)
    cut_off: bool = False


@dataclass(frozen=True)
class Lost:
    """A run that broke and left no ticket to judge at its density and below; None: at any density."""

    entry: str
    seed: int
    density: float | None
    outcome: Outcome


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The one that stands for several."""
    return min(outcomes, key=WORST_FIRST.index)


def tickets_of(rows: Iterable[Row], metric: str) -> list[Ticket]:
    """The judged tickets of one model and data, in the order of their names and numbers.

    Args:
        rows: all of it; evaluations of twin 0 count, and none of a round that removed no unit.
        metric: "SPLIT/NAME". Of a run's measurements the last counts: the best would choose by the test set.
    Raises: PrunebenchError if two rows contradict each other, or a run's positions have no last one.
    """
    by_ticket: dict[tuple[str, int, int, int, float], list[Row]] = defaultdict(list)
    latencies: dict[tuple[str, int, int | None], float | None] = {}
    rows = list(rows)
    repeated = same_again(rows)
    for row in rows:
        if row.run in repeated:
            continue
        if row.role == "analyse" and row.metric.endswith(f"/{LATENCY_SHARE}"):
            latencies[row.entry, row.seed, row.round] = row.value
        if row.role == "evaluate" and row.twin == 0 and row.round is not None and row.density is not None:
            by_ticket[row.entry, row.seed, row.round, row.draw, row.density].append(row)
    return [_ticket(by_ticket[at], metric, latencies.get(at[:3])) for at in sorted(by_ticket)]


def same_again(rows: Iterable[Row]) -> dict[RunId, int]:
    """The judged runs whose round removed no unit, with the round that has the same network already.

    A mask is a subset of the one before, so equal densities are equal masks: such a round is no place of its own, and
    its run is another training of one network. A run that broke is none of them: it counts.
    """
    judged: dict[tuple[TrialId, int], dict[int, set[float]]] = defaultdict(lambda: defaultdict(set))
    runs, broken = {}, set()
    for row in rows:
        if row.role == "evaluate" and row.twin == 0 and row.round is not None and row.density is not None:
            judged[row.trial, row.draw][row.round].add(row.density)
            runs[row.trial, row.draw, row.round] = row.run
            if row.outcome != "ok":
                broken.add(row.run)
    repeated: dict[RunId, int] = {}
    for (trial, draw), own in sorted(judged.items()):
        first = {1.0: 0}
        for round, densities in sorted(own.items()):
            earlier = {first.setdefault(density, round) for density in densities}
            run = runs[trial, draw, round]
            if max(earlier) < round and run not in broken:
                repeated[run] = max(earlier)
    return repeated


def lost_runs(rows: Iterable[Row]) -> list[Lost]:
    """The runs that broke before there was a ticket: that trial is not merely missing."""
    return [
        Lost(row.entry, row.seed, row.density, row.outcome)
        for row in rows
        if row.role != "analyse" and row.twin == 0 and row.outcome not in ("ok", "inapplicable")
        if row.role == "find" or row.density is None
    ]


def inapplicable(rows: Iterable[Row]) -> dict[str, dict[int, str]]:
    """The entries of one model and data whose methods do not apply to the network: by seed, why.

    Raises: PrunebenchError if such an entry has other rows of that network: one of them would be hidden.
    """
    found: dict[str, dict[int, str]] = defaultdict(dict)
    others = set()
    for row in rows:
        if row.outcome == "inapplicable":
            found[row.entry][row.seed] = row.note
        else:
            others.add(row.entry)
    for entry in found:
        if entry in others:
            raise PrunebenchError(f'entry "{entry}": rows say that it does not apply to the network and judge it')
    return dict(found)


def _ticket(rows: Sequence[Row], metric: str, latency: float | None) -> Ticket:
    first, outcome = rows[0], worst(row.outcome for row in rows)
    assert first.round is not None
    return Ticket(
        entry=first.entry,
        seed=first.seed,
        round=first.round,
        draw=first.draw,
        density=first.density,
        density_all=next((row.density_all for row in rows if row.density_all is not None), None),
        density_macs=next((row.density_macs for row in rows if row.density_macs is not None), None),
        outcome=outcome,
        value=_last([row for row in rows if row.name == metric and row.outcome in ("ok", "collapsed")])
        if outcome in ("ok", "collapsed")
        else None,
        latency=latency,
        asked=asked_of(first),
        cut_off=metric.partition("/")[2].startswith(EARLY_STOP) and _is_cut_off(rows),
    )


def _is_cut_off(rows: Sequence[Row]) -> bool:
    """Whether a run stopped early only where it ended."""
    stops = [place_in_run(row) for row in rows if row.metric == STOPPED_AT]
    ends = [place_in_run(row) for row in rows if not row.metric.startswith(EARLY_STOP)]
    return bool(stops and ends) and max(stops) == max(ends)


def asked_of(row: Row) -> dict[AxisName, float]:
    """On the axes of costs, the share that the mask of a row was cut to."""
    asked: dict[AxisName, float | None] = {"density_all": row.asked_parameters, "density_macs": row.asked_macs}
    return {axis: share for axis, share in asked.items() if share is not None}


def _last(rows: Sequence[Row]) -> float | None:
    points: dict[tuple[str, Fraction], float] = {}
    for row in rows:
        if row.value is not None and points.setdefault(place_in_run(row), row.value) != row.value:
            raise PrunebenchError(
                f'entry "{row.entry}": seed {row.seed}, round {row.round}, draw {row.draw}: two values of {row.name} '
                f"at {row.position!r}: {points[place_in_run(row)]!r} and {row.value!r}"
            )
    if len({unit for unit, _ in points}) > 1:
        where = rows[0]
        raise PrunebenchError(
            f'entry "{where.entry}": seed {where.seed}: positions in different units have no last one'
        )
    return points[max(points)] if points else None
