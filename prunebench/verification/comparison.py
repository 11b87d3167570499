"""Recorded results beside a second run: bit for bit, or within the tolerance."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from prunebench.api import keys
from prunebench.api.details import Detail, EvaluationDetail
from prunebench.api.results import final_rows
from prunebench.api.rows import Row
from prunebench.api.task import EARLY_STOP, STOPPED_AT
from prunebench.api.untrusted_text import printable
from prunebench.results.merge import MARKS, detail_identity
from prunebench.results.tolerance import spread, tolerance_of
from prunebench.verification.coverage import Coverage

COSTS = ("density_all", "density_macs")
"""Fields of a row that follow from its mask, which is another one where rounding chose other weights."""

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


@dataclass(frozen=True)
class Comparison:
    """What held of a leaderboard.

    Args:
        compared: rows that a second run was held against.
        details, details_differ: curves, masks and pictures that were compared, and those that are not the same.
        details_apart: of these, those that rounding does not explain: other points of a curve, other layers.
        allowed: by metric, how far the last value of a run may lie from the recorded one in another environment.
        manifest: what differs from the manifest; nothing else was looked at if anything does.
        findings: what contradicts the benchmark file or the results; nothing was run again if anything does.
        remarks: what nothing derives.
    """

    compared: int = 0
    differences: tuple[Difference, ...] = ()
    details: int = 0
    details_differ: int = 0
    details_apart: int = 0
    same_environment: bool = True
    recorded_environment: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    metric: str = ""
    allowed: Mapping[str, float | None] = field(default_factory=dict)
    manifest: tuple[str, ...] = ()
    findings: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    coverage: Coverage = field(default_factory=Coverage)

    @property
    def failures(self) -> tuple[Difference, ...]:
        """The differences that nothing excuses."""
        return tuple(d for d in self.differences if not d.passes)

    @property
    def holds(self) -> bool:
        """Nothing contradicts it, and every bit in the recorded environment or every judged number in another."""
        exact = not (self.details_differ if self.same_environment else self.details_apart)
        sound = not self.manifest and not self.findings
        return sound and self.compared > 0 and not self.failures and exact

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
        return "\n".join([self._numbers, text, *remarks])

    @property
    def _numbers(self) -> str:
        if not self.compared:
            return "Nothing was compared."
        bad = f"{len(self.failures):,} of {self.compared:,} numbers differ."
        if self.same_environment:
            if self.holds:
                return f"It holds: all {self.compared:,} numbers are the same, bit for bit."
            if not self.failures:
                return f"It does not hold: the numbers are the same, but {self.details_differ} curves or masks are not."
            return (
                f"It does not hold: {bad} The environment is the recorded one, so these results do not come from this "
                "file and this version."
            )
        changed = ", ".join(
            f"{name} {self.recorded_environment.get(name)!r} -> {self.environment.get(name)!r}"
            for name in sorted({*self.recorded_environment, *self.environment})
            if self.recorded_environment.get(name) != self.environment.get(name)
        )
        allowed = self.allowed.get(self.metric)
        if allowed is None:
            return f"It is open: {bad} The environment differs ({changed}), and one seed gives no tolerance."
        where = f"The environment differs ({changed}), so {self.metric} is held against a tolerance of {allowed:.4f}"
        if self.failures:
            return f"It does not hold: {where}, and {len(self.failures):,} numbers are outside."
        if not self.holds:
            return f"It does not hold: {self.details_apart:,} curves have other points or layers than the second run's."
        moved = sum(d.held for d in self.differences)
        free = len(self.differences) - moved
        text = f"It holds: {where}; {moved:,} of {self.compared:,} numbers moved, all within it."
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
            values = [
                "(none)" if side is None else f"{side.value} {side.outcome}"
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
            "allowed": dict(self.allowed),
            "manifest": list(self.manifest),
            "findings": list(self.findings),
            "remarks": list(self.remarks),
            "coverage": self.coverage.to_json(),
        }


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
) -> Comparison:
    """Match rows by what they measure, and compare them: whole in one environment, by the tolerance in another."""
    allowed = {} if allowed is None else allowed
    same = dict(recorded_environment) == dict(environment)
    before = {place_of(row, same): row for row in recorded}
    after = {place_of(row, same): row for row in again}
    held = {place_of(row, same) for row in final_rows(recorded) if row.name in allowed or row.name == metric}
    # Fields that came with a later version are not held; those of the marks that no row need state always are.
    stated = frozenset(MARKS).union(*(row.model_fields_set for row in recorded))
    free = {} if same else {name: min(spread(recorded, name), spread(again, name)) for name in COSTS}
    differences = []
    for place in {**before, **after}:
        a, b = before.get(place), after.get(place)
        if a is None or b is None or any(getattr(a, name) != getattr(b, name) for name in stated):
            timed = a is not None and b is not None and not a.exact and not b.exact
            within = not same and a is not None and b is not None and _within(a, b, place in held, allowed, free)
            differences.append(Difference(a, b, timed or within, place in held))
    ok = {(row.trial, row.round, row.draw) for row in recorded if row.role == "evaluate" and row.outcome == "ok"}
    old, new = ({detail_identity(line): line for line in side} for side in details)
    places = [(old.get(place), new.get(place)) for place in {**old, **new}]
    return Comparison(
        compared=len(recorded),
        differences=tuple(differences),
        details=len(places),
        details_differ=sum(_digest(one) != _digest(other) for one, other in places),
        details_apart=sum(_frame(one, ok) != _frame(other, ok) for one, other in places),
        same_environment=same,
        recorded_environment=recorded_environment,
        environment=environment,
        metric=metric,
        allowed=allowed,
    )


def _digest(detail: Detail | None) -> str | None:
    return None if detail is None else keys.digest(detail.to_json())


def _frame(detail: Detail | None, ok: Collection[Hashable]) -> Hashable:
    """What of a detail is the same in every environment; where a run that diverged ends is not."""
    if detail is None:
        return None
    if not isinstance(detail, EvaluationDetail):
        return tuple(figure.name for figure in detail.figures)
    if ((detail.entry, detail.model, detail.data, detail.seed), detail.round, detail.draw) not in ok:
        return ()
    points = tuple((point.iteration, frozenset(point.values)) for point in detail.curve)
    return detail.start, detail.stop, points, tuple((layer.name, layer.units) for layer in detail.layers)


def place_of(row: Row, same: bool) -> tuple[Hashable, ...]:
    """What a row is matched by. Where early stopping stops is no part of it in another environment: it may move."""
    if same or not (row.metric == STOPPED_AT or row.metric.startswith(EARLY_STOP)):
        return row.identity
    return (*row.run, row.role, "", row.metric, row.split)


def _within(
    recorded: Row, again: Row, held: bool, allowed: Mapping[str, float | None], free: Mapping[str, float]
) -> bool:
    """Whether a difference between environments passes: what is counted is the same, a held value is near enough."""
    fixed = ("density", "outcome", "key", "unit", "exact")
    if any(getattr(recorded, name) != getattr(again, name) for name in fixed):
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
