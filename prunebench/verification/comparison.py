"""Recorded results beside a second run: bit for bit, or within the tolerance."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prunebench.api import keys
from prunebench.api.details import Detail, EvaluationDetail
from prunebench.api.results import final_rows
from prunebench.api.rows import Row, TrialId
from prunebench.api.task import EARLY_STOP, STOPPED_AT
from prunebench.api.untrusted_text import printable
from prunebench.results.merge import detail_identity
from prunebench.results.tolerance import spread, tolerance_of
from prunebench.verification.coverage import Coverage

COSTS = ("density_all", "density_macs")
"""Fields of a row that follow from its mask, which is another one where rounding chose other weights."""

FIXED = tuple(
    name for name in Row.model_fields if name not in {*COSTS, "value", "position", "empty_layers", "environments"}
)
"""Fields of a row that are the same in every environment.

Where early stopping stops may move; which layers are empty follows from a mask, and is held against the row's details.
"""

_NUMBER = re.compile(r"[-+]?\d[\d.,]*(?:e[-+]?\d+)?")
"""In a caption: what was measured may stand there."""

_LONGEST = 100_000


@dataclass(frozen=True)
class Difference:
    """One row that does not agree; a side that has no such row is None."""

    recorded: Row | None
    again: Row | None
    passes: bool = False
    """Whether it lies within the tolerance, or is a number that nothing holds in another environment."""
    held: bool = True
    """Whether anything holds it."""
    timed: bool = False
    """Whether its value is what a clock said."""
    facts: tuple[str, ...] = ()
    """Its fields that no environment changes, and that differ all the same."""
    same: bool = True
    """Whether it was made in the environment of the second run, so that every bit is held."""

    @property
    def is_of_facts(self) -> bool:
        """Whether it is one that rounding cannot explain: a row that one side lacks, a unit, a count, a text."""
        return bool(self.facts) or self.recorded is None or self.again is None


@dataclass(frozen=True)
class Comparison:
    """What held of a leaderboard.

    Args:
        compared: rows that a second run was held against.
        details, details_differ: curves, masks and pictures that were compared, and those that are not the same.
        details_apart: of these, those that rounding does not explain: other points of a curve, other layers; of what
            was made in the environment of the second run, all.
        disordered: trials whose rows stand in another order than in the second run.
        elsewhere: how many of the compared rows are said to be of another environment than the second run's, by entry.
        places: the environments that these are said to be of.
        allowed: by metric, how far the last value of a run may lie from the recorded one in another environment.
        manifest: what differs from the manifest; nothing else was looked at if anything does.
        findings: what contradicts the benchmark file or the results; nothing was run again if anything does.
        remarks: what nothing derives.
        file: the benchmark file that it was held against, and its digest.
        results, details_sha256: the sha256 of all results and details of the leaderboard, as they were read.
    """

    compared: int = 0
    differences: tuple[Difference, ...] = ()
    details: int = 0
    details_differ: int = 0
    details_apart: int = 0
    disordered: int = 0
    elsewhere: Mapping[str, int] = field(default_factory=dict)
    places: Sequence[Mapping[str, Any]] = ()
    environment: Mapping[str, Any] = field(default_factory=dict)
    metric: str = ""
    allowed: Mapping[str, float | None] = field(default_factory=dict)
    manifest: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)
    file: str = ""
    results: str = ""
    details_sha256: str = ""

    @property
    def failures(self) -> tuple[Difference, ...]:
        """The differences that nothing excuses."""
        return tuple(d for d in self.differences if not d.passes)

    @property
    def holds(self) -> bool:
        """Nothing contradicts it, and every bit in the recorded environment or every judged number in another."""
        sound = not self.manifest and not self.findings
        return sound and self.compared > 0 and not self.failures and not self.details_apart and not self.disordered

    @property
    def same_environment(self) -> bool:
        """Whether every row was made in the environment of the second run, and every bit is held."""
        return not self.elsewhere

    @property
    def verdict(self) -> str:
        """What a person should know: what held, how much of it, what contradicts it, what nothing derives.

        Names and values in it are a stranger's; what a terminal would act on is written as an escape.
        """
        return printable(self._verdict, _LONGEST)

    @property
    def _verdict(self) -> str:
        if self.manifest:
            return "The files are not as they were recorded: " + "; ".join(self.manifest) + ". Nothing was run again."
        if self.findings:
            return "\n".join(["It does not hold, and nothing was run again:", *_lines(self.findings)])
        remarks = ["Nothing derives:", *_lines(self.remarks)] if self.remarks else []
        text = self.coverage.text
        if self.coverage.drawn and not self.same_environment:
            text += " In this environment a forgery within the tolerance is not seen where it is drawn either."
        against = [f"Held against {self.file}; whose file that is, its reader must know."] if self.file else []
        return "\n".join([self._numbers, *self._by_entry, text, *against, *remarks])

    @property
    def _by_entry(self) -> list[str]:
        """Of which entries bits were not held, where it is not all of one other environment."""
        here = self.compared - sum(self.elsewhere.values())
        if not self.elsewhere or (not here and len(self.places) == 1):
            return []
        return [
            "That a number was made elsewhere is its author's word, and takes from it that every bit is held:",
            *(f'- entry "{entry}": {count:,} numbers' for entry, count in self.elsewhere.items()),
        ]

    @property
    def _numbers(self) -> str:
        if not self.compared:
            return "Nothing was compared."
        if self.disordered:
            return (
                f"It does not hold: in {self.disordered:,} trials the rows stand in another order than prunebench "
                "writes them in."
            )
        here = [d for d in self.differences if d.same]
        timed = sum(d.timed for d in here)
        if any(not d.passes for d in here):
            bad = sum(not d.passes for d in here)
            return (
                f"It does not hold: {bad:,} of {self.compared:,} numbers differ. The environment is the recorded one, "
                "so these results do not come from this file and this version."
            )
        if self.same_environment:
            if self.details_apart:
                return f"It does not hold: the numbers are the same, but {self.details_apart} curves or masks are not."
            text = f"It holds: all {self.compared - timed:,} numbers are the same, bit for bit."
            return text + (f" {timed:,} others are what a clock said, and nothing holds them." if timed else "")
        count = self.compared - sum(self.elsewhere.values())
        if not count or not self.holds:
            return self._elsewhere
        text = f"It holds in part bit for bit: {count - timed:,} of {self.compared:,} numbers are the same. "
        return text + "For the others: " + self._elsewhere

    @property
    def _elsewhere(self) -> str:
        """What is to be said of numbers that were made in another environment."""
        changed = "; ".join(_changed(place, self.environment) for place in self.places)
        bad = f"{len(self.failures):,} of {self.compared:,} numbers differ."
        facts = [d for d in self.failures if d.is_of_facts]
        if facts:
            names = sorted({name for d in facts for name in d.facts})
            text = (
                f"It does not hold: {len(facts):,} of {self.compared:,} rows are of other facts than the second run's"
            )
            text += f" ({', '.join(names)})" if names else " or are on one side alone"
            return f"{text}, which no environment changes. The environment differs ({changed})."
        allowed = self.allowed.get(self.metric)
        if allowed is None:
            return f"It is open: {bad} The environment differs ({changed}), and one seed gives no tolerance."
        where = f"The environment differs ({changed}), so {self.metric} is held against a tolerance of {allowed:.4f}"
        if self.failures:
            return f"It does not hold: {where}, and {len(self.failures):,} numbers are outside."
        if not self.holds:
            return (
                f"It does not hold: {self.details_apart:,} curves have other points or layers than the second run's, "
                "or pictures other captions."
            )
        apart = [d for d in self.differences if not d.same]
        moved = sum(d.held for d in apart)
        free = len(apart) - moved
        of = sum(self.elsewhere.values())
        text = f"It holds: {where}; {moved:,} of {of:,} numbers moved, all within it."
        if free:
            text += f" {free:,} others moved, and nothing holds them: earlier positions, other splits, analyses."
        if self.details_differ:
            text += (
                f" {self.details_differ:,} of {self.details:,} lines of details moved, and nothing holds them: curves, "
                "kept units of each layer, which test examples are right, pictures."
            )
        return text

    def shown(self, limit: int = 40) -> list[tuple[str, ...]]:
        """Rows for a table: the first failures."""
        rows = []
        for difference in self.failures[:limit]:
            row = difference.recorded or difference.again
            if row is None:
                continue
            names = _apart(difference.recorded, difference.again) - {"value", "outcome"}
            values = [
                "(none)"
                if side is None
                else ", ".join([f"{side.value} {side.outcome}", *(f"{n} {getattr(side, n)!r}" for n in sorted(names))])
                for side in (difference.recorded, difference.again)
            ]
            density = "" if row.density is None else f"{row.density:.4f}"
            rows.append(tuple(map(printable, (row.entry, str(row.seed), density, row.name, *values))))
        return rows

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {
            "holds": self.holds,
            "verdict": self.verdict,
            "compared": self.compared,
            "failures": [
                [None if side is None else side.to_json() for side in (d.recorded, d.again)] for d in self.failures
            ],
            "moved": len(self.differences),
            "details": self.details,
            "details_differ": self.details_differ,
            "same_environment": self.same_environment,
            "elsewhere": dict(self.elsewhere),
            "disordered": self.disordered,
            "allowed": dict(self.allowed),
            "manifest": list(self.manifest),
            "findings": list(self.findings),
            "remarks": list(self.remarks),
            "file": self.file,
            "coverage": self.coverage.to_json(),
        }


def _changed(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    return ", ".join(
        f"{name} {recorded.get(name)!r} -> {here.get(name)!r}"
        for name in sorted({*recorded, *here})
        if recorded.get(name) != here.get(name)
    )


def _lines(sentences: Sequence[str]) -> list[str]:
    return [f"- {sentence}" for sentence in sentences]


def allowances(
    recorded: Sequence[Row], again: Sequence[Row], details: Sequence[Detail], metric: str, whole: bool
) -> dict[str, float | None]:
    """How far the last value of a run may lie from the recorded one, for each metric that is held.

    Held are the metric that is ranked by and all of the test split. The tolerance comes from the rows, never from what
    the provenance says of it; of a second run that is whole, from both, the smaller: what is recorded could have been
    spread so as to allow more.

    Args:
        details: of the second run: how many test examples there are is not read off recorded ones.
        whole: whether everything was run again.
    """
    metrics = {row.name for row in recorded if row.role == "evaluate" and row.split == "test"} | {metric}
    allowed: dict[str, float | None] = {}
    for name in sorted(metrics):
        sources = (recorded, again) if whole else (recorded,)
        found = [tolerance_of(rows, details, name).allowed for rows in sources]
        known = [value for value in found if value is not None]
        allowed[name] = min(known) if len(known) == len(found) else None
    return allowed


def compare(
    recorded: Sequence[Row],
    again: Sequence[Row],
    recorded_environment: Mapping[str, Any],
    environment: Mapping[str, Any],
    *,
    metric: str,
    allowed: Mapping[str, float | None] | None = None,
    details: tuple[Sequence[Detail], Sequence[Detail]] = ((), ()),
    made: Callable[[Row], Sequence[Mapping[str, Any]]] | None = None,
) -> Comparison:
    """Match rows by what they measure, and compare them: whole in one environment, by the tolerance in another.

    Args:
        made: the environments that a row is said to be of; `recorded_environment` for all of them if None.
    """
    allowed = {} if allowed is None else allowed
    of = {row.identity: _not_here(row, environment, recorded_environment, made) for row in recorded}
    elsewhere = Counter(row.entry for row in recorded if of[row.identity])
    before = {place_of(row): row for row in recorded}
    after = {place_of(row): row for row in again}
    held = {place_of(row) for row in final_rows(recorded) if row.name in allowed or row.name == metric}
    free = {name: min(spread(recorded, name), spread(again, name)) for name in COSTS} if elsewhere else {}
    differences = []
    for place in {**before, **after}:
        a, b = before.get(place), after.get(place)
        same = not elsewhere if a is None else not of[a.identity]
        if a is None or b is None:
            differences.append(Difference(a, b, same=same))
            continue
        timed = not a.exact and not b.exact
        apart = _apart(a, b)
        if same:
            passes = timed and apart == {"value"} and None not in (a.value, b.value)
        else:
            passes = _within(a, b, place in held and not timed, allowed, free)
        if apart:
            facts = tuple(name for name in FIXED if name in apart)
            differences.append(Difference(a, b, passes, place in held and not timed, timed, facts, same))
    ok = {(row.trial, row.round, row.draw) for row in recorded if row.role == "evaluate" and row.outcome == "ok"}
    old, new = ({detail_identity(line): line for line in side} for side in details)
    places = [(old.get(place), new.get(place)) for place in {**old, **new}]
    there = {(_owner(row), row.key) for row in recorded if of[row.identity]}
    details_apart = 0
    for one, other in places:
        free_of_bits = one is not None and (_owner(one), one.key) in there
        details_apart += _frame(one, ok) != _frame(other, ok) if free_of_bits else _digest(one) != _digest(other)
    return Comparison(
        compared=len(recorded),
        differences=tuple(differences),
        details=len(places),
        details_differ=sum(_digest(one) != _digest(other) for one, other in places),
        details_apart=details_apart,
        disordered=_disordered(recorded, again),
        elsewhere=dict(elsewhere),
        places=list({_text(fields): fields for found in of.values() for fields in found}.values()),
        environment=environment,
        metric=metric,
        allowed=allowed,
    )


def _not_here(
    row: Row,
    here: Mapping[str, Any],
    recorded: Mapping[str, Any],
    made: Callable[[Row], Sequence[Mapping[str, Any]]] | None,
) -> list[Mapping[str, Any]]:
    """The environments other than the second run's that a row is said to be of."""
    return [fields for fields in ([recorded] if made is None else made(row)) if dict(fields) != dict(here)]


def _text(fields: Mapping[str, Any]) -> str:
    return repr(sorted(fields.items()))


def _owner(line: Row | Detail) -> TrialId:
    return line.entry, line.model, line.data, line.seed


def _disordered(recorded: Sequence[Row], again: Sequence[Row]) -> int:
    """How many trials have their rows in another order than in the second run, of the rows that both have."""
    found: dict[TrialId, tuple[list[Hashable], list[Hashable]]] = defaultdict(lambda: ([], []))
    for side, rows in enumerate((recorded, again)):
        for row in rows:
            found[row.trial][side].append(place_of(row))
    return sum(
        [place for place in one if place in known] != [place for place in other if place in known]
        for one, other in found.values()
        for known in [set(one) & set(other)]
    )


def _apart(one: Row | None, other: Row | None) -> set[str]:
    """The fields in which two rows differ, stated or not."""
    if one is None or other is None:
        return set()
    return {name for name in Row.model_fields if getattr(one, name) != getattr(other, name)}


def _digest(detail: Detail | None) -> str | None:
    return None if detail is None else keys.digest(detail.to_json())


def _frame(detail: Detail | None, ok: Collection[Hashable]) -> Hashable:
    """What of a detail is the same in every environment; where a run that diverged ends is not."""
    if detail is None:
        return None
    if not isinstance(detail, EvaluationDetail):
        return tuple((figure.name, _NUMBER.sub("#", figure.caption)) for figure in detail.figures)
    if ((detail.entry, detail.model, detail.data, detail.seed), detail.round, detail.draw) not in ok:
        return ()
    points = tuple((point.iteration, frozenset(point.values)) for point in detail.curve)
    layers = tuple((layer.name, layer.units, layer.kept is None) for layer in detail.layers)
    examples = None if detail.correct is None else len(detail.correct)
    return detail.start, detail.stop, points, layers, examples, tuple(sorted(detail.artifacts.items()))


def place_of(row: Row) -> tuple[Hashable, ...]:
    """What a row is matched by. Where early stopping stops is no part of it: in another environment it may move."""
    if not (row.metric == STOPPED_AT or row.metric.startswith(EARLY_STOP)):
        return row.identity
    return (*row.run, row.role, "", row.metric, row.split)


def _within(
    recorded: Row, again: Row, held: bool, allowed: Mapping[str, float | None], free: Mapping[str, float]
) -> bool:
    """Whether a difference between environments passes: what is counted is the same, a held value is near enough."""
    if not _apart(recorded, again).isdisjoint(FIXED) or (recorded.value is None) != (again.value is None):
        return False
    if any(not _near(getattr(recorded, name), getattr(again, name), most) for name, most in free.items()):
        return False
    if not held:
        return True
    most = allowed.get(recorded.name)
    return _near(recorded.value, again.value, 0.0 if most is None else most)


def _near(one: float | None, other: float | None, most: float) -> bool:
    if one is None or other is None:
        return one == other
    return abs(one - other) <= most
