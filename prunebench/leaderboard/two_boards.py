"""Two leaderboards beside each other: what differs in how they were made, and paired differences of what they share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from prunebench.api.board import Board, Cell, Group
from prunebench.api.errors import PrunebenchError
from prunebench.api.estimates import Paired
from prunebench.api.metric import Metric
from prunebench.api.provenance import Provenance
from prunebench.api.results import Results
from prunebench.leaderboard.build import board_of
from prunebench.stats.student import difference_within, holm, paired


@dataclass(frozen=True)
class Pair:
    """What two boards have of one entry at one place of the axis.

    Args:
        first, second: each board's mean over its own seeds, in the metric's stored unit.
        difference: second minus first, paired by seed; None where they have no seed in common.
        p: of a paired t-test, Holm-corrected over all pairs of the comparison; None where there is no test.
        same: whether all common runs have the same key: they are the same computation.
    """

    model: str
    data: str
    entry: str
    place: float
    label: str
    metric: Metric
    first: float
    second: float
    difference: Paired | None
    p: float | None
    same: bool


@dataclass(frozen=True)
class Comparison:
    """The second leaderboard against the first.

    Args:
        names: of both.
        metric: "SPLIT/NAME" of the values.
        alpha: the level; intervals cover 1 - alpha.
        recipe: what differs in how they were made, as (what, first, second).
        only_first, only_second: entries that one of them has.
        pairs: what both have.
    """

    names: tuple[str, str]
    metric: str
    alpha: float
    recipe: tuple[tuple[str, str, str], ...]
    only_first: tuple[str, ...]
    only_second: tuple[str, ...]
    pairs: tuple[Pair, ...]

    def to_json(self) -> dict[str, Any]:
        """For `--json`; values and differences in the metric's stored unit."""
        return {
            "names": list(self.names),
            "metric": self.metric,
            "alpha": self.alpha,
            "recipe": [{"what": what, "first": a, "second": b} for what, a, b in self.recipe],
            "only_first": list(self.only_first),
            "only_second": list(self.only_second),
            "pairs": [_pair_json(pair) for pair in self.pairs],
        }

    def __str__(self) -> str:
        return "\n".join(_lines(self))


def compared(first: Results, second: Results, metric: str | None = None) -> Comparison:
    """The second leaderboard's results against the first's.

    Args:
        metric: "SPLIT/NAME"; what the first one ranks by if None.
    Raises:
        PrunebenchError: one of them does not have the metric, their axes differ, or they share no model and data set.
    """
    a = _board(first, metric)
    b = _board(second, a.metric)
    if a.axis != b.axis:
        raise PrunebenchError(f"{a.name} ranks by {a.axis}, {b.name} by {b.axis}: their columns do not meet")
    groups = [(g, h) for g in a.groups for h in b.groups if (g.model, g.data) == (h.model, h.data)]
    if not groups:
        known = " and ".join(", ".join(f"{g.model} on {g.data}" for g in board.groups) for board in (a, b))
        raise PrunebenchError(f"{a.name} and {b.name} have no model and data set in common: {known}")
    found = [pair for g, h in groups for pair in _pairs(g, h, a.alpha, (first, second))]
    entries = [list(dict.fromkeys(name for group in board.groups for name in group.entries)) for board in (a, b)]
    return Comparison(
        (a.name, b.name),
        a.metric,
        a.alpha,
        tuple(_recipe(a.provenance, b.provenance)),
        tuple(name for name in entries[0] if name not in entries[1]),
        tuple(name for name in entries[1] if name not in entries[0]),
        tuple(_corrected(found)),
    )


def _board(results: Results, metric: str | None) -> Board:
    board = board_of(results)
    return board if metric is None else board.of(metric)


def _pairs(g: Group, h: Group, alpha: float, results: tuple[Results, Results]) -> Iterator[Pair]:
    keys = [_keys(side, g) for side in results]
    for name in [*g.references, *g.order]:
        if name not in h.entries:
            continue
        for place in g.places:
            other = 1.0 if place == 1.0 else h.column(place)
            one, two = g.at(name, place), h.at(name, other) if other is not None else Cell()
            if not one.interval or not two.interval or (g.entries[name].dense and place != 1.0):
                continue
            difference = None
            if one.values.keys() & two.values.keys():
                difference = difference_within(paired(two.values, one.values, alpha), g.metric.low, g.metric.high)
            yield Pair(
                g.model,
                g.data,
                name,
                place,
                g.labels[place],
                g.metric,
                one.interval.mean,
                two.interval.mean,
                difference,
                None if difference is None else difference.p,
                _same(name, one, two, keys),
            )


def _keys(results: Results, group: Group) -> dict[tuple[str, int, int | None, int], str]:
    """The key of each judged run, by entry, seed, round and draw."""
    return {
        (row.entry, row.seed, row.round, row.draw): row.key
        for row in results.rows
        if row.role == "evaluate" and (row.model, row.data) == (group.model, group.data) and row.twin == 0
    }


def _same(name: str, one: Cell, two: Cell, keys: Sequence[dict[tuple[str, int, int | None, int], str]]) -> bool:
    common = [seed for seed in one.runs if seed in two.runs]
    sides = [
        [keys[side].get((name, seed, run.round, run.draw)) for seed in common for run in cell.runs[seed]]
        for side, cell in enumerate((one, two))
    ]
    return bool(common) and sides[0] == sides[1] and all(sides[0])


def _corrected(pairs: Sequence[Pair]) -> Iterator[Pair]:
    from dataclasses import replace

    tested = [i for i, pair in enumerate(pairs) if pair.p is not None]
    corrected = dict(zip(tested, holm([pairs[i].p or 0.0 for i in tested]), strict=True))
    for i, pair in enumerate(pairs):
        yield replace(pair, p=corrected.get(i))


def _recipe(a: Provenance, b: Provenance) -> Iterator[tuple[str, str, str]]:
    """What differs in how two boards were made, as their provenance has it."""
    for what in ("prunebench", "file", "profile", "settings", "seeds"):
        one, two = getattr(a, what), getattr(b, what)
        if one != two:
            yield what, _text(one), _text(two)
    for name in sorted(a.components.keys() | b.components.keys()):
        sides = [f"version {side[name].version}" if name in side else "-" for side in (a.components, b.components)]
        if sides[0] != sides[1]:
            yield f"component {name}", sides[0], sides[1]
    for title, first, second in (
        ("environment", a.environment, b.environment),
        ("hardware", a.hardware, b.hardware),
    ):
        for name in sorted(first.keys() | second.keys()):
            if first.get(name) != second.get(name):
                yield f"{title} {name}", _text(first.get(name)), _text(second.get(name))


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value) or "-"
    return "-" if value is None else str(value)


def _pair_json(pair: Pair) -> dict[str, Any]:
    d = pair.difference
    return {
        "model": pair.model,
        "data": pair.data,
        "entry": pair.entry,
        "place": pair.place,
        "first": pair.first,
        "second": pair.second,
        "difference": None if d is None else {"mean": d.difference, "low": d.low, "high": d.high, "n": d.n},
        "p": pair.p,
        "same": pair.same,
    }


def _lines(comparison: Comparison) -> Iterator[str]:
    one, two = comparison.names
    yield f"{two} against {one}: {comparison.metric}, second minus first, paired by seed"
    if comparison.recipe:
        yield ""
        yield "What differs in how they were made:"
        yield from (f"  {what}: {a} | {b}" for what, a, b in comparison.recipe)
    for names, name in ((comparison.only_first, one), (comparison.only_second, two)):
        if names:
            yield f"Only in {name}: {', '.join(names)}"
    group = None
    for pair in comparison.pairs:
        if group != (pair.model, pair.data):
            group = (pair.model, pair.data)
            yield ""
            yield f"{pair.model} on {pair.data}, {pair.metric.apart}"
        yield f"  {pair.entry}, {pair.label}: {_difference(pair)}"
    if not comparison.pairs:
        yield "No entry has a value at the same density in both."


def _difference(pair: Pair) -> str:
    numbers = f"{pair.metric.number(pair.first)} -> {pair.metric.number(pair.second)}"
    d = pair.difference
    if pair.same:
        return f"{numbers}, the same runs"
    if d is None:
        return f"{numbers}, no common seed"
    spread = d.why if d.ends is None else " to ".join(pair.metric.signed(end) for end in d.ends)
    p = "" if pair.p is None else f", p = {pair.p:.3g}"
    return f"{numbers}, {pair.metric.signed(d.difference)} ({spread}; n = {d.n}{p})"
