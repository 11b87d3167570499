"""The board: everything that a leaderboard shows, computed once. No torch, and no arithmetic.

README, page, LaTeX, CSV, terminal, trackers, verification and report plugins select from a `Board` and print; none of
them has a number that is not in it. Values, differences and ends of intervals are in the metric's stored unit (such as
"fraction" or "nats"); `Metric.number` prints them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, TypeAlias

from prunebench.api.estimates import Compared, Interval, Paired
from prunebench.api.metric import Metric
from prunebench.api.provenance import Provenance
from prunebench.api.rows import Outcome

AxisName: TypeAlias = Literal["density", "density_all", "density_macs", "latency"]

AXES: Mapping[str, str] = {
    "density": "density of the units that may be pruned",
    "density_all": "density over all parameters",
    "density_macs": "share of the multiply-accumulates that is left",
    "latency": "share of the dense network's time that a forward pass takes",
}
"""What the columns of a board may be, in words."""

SAME_PLACE = 0.005
"""Places nearer than this share of themselves are one column: rounding each layer's count moves a density by less."""

SOLVED_PLACE = 0.05
"""How far a ticket whose mask was cut to a share of a cost may lie from it, as a share of it, to count as there.

It is the nearest that the network has: one channel may be several percent of the multiply-accumulates.
"""


@dataclass(frozen=True)
class Run:
    """A judged run behind a cell: the round and the draw of its ticket, and its last value."""

    round: int
    draw: int
    value: float


@dataclass(frozen=True)
class Between:
    """The two judged tickets of a seed between which its value was interpolated: places on the axis and values."""

    places: tuple[float, float]
    values: tuple[float, float]


@dataclass(frozen=True)
class Gap:
    """Why a seed has no value at a place where one was asked for.

    Args:
        why: "no ticket" of it was judged; it has tickets on one side only ("beyond"); those on either side are too
            "far" apart on the axis to read a value off the line between them; or their values are ("steep"); or the
            entry's method does not apply to the network ("inapplicable").
        places, values: of the nearest judged tickets, the larger place first; none for "no ticket".
        note: why the method does not apply; empty otherwise.
    """

    why: Literal["no ticket", "beyond", "far", "steep", "inapplicable"]
    places: tuple[float, ...] = ()
    values: tuple[float | None, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Cell:
    """The trials of one entry at one place of the axis.

    Every seed that was tried there is in exactly one of `values`, `broken` and `missing`.

    Args:
        values: by seed, the mean over its draws.
        broken: by seed, the outcome of a trial that is not ok: the worst of its draws.
        missing: by seed, why it has neither, although a value was asked for.
        inclusive: by seed, the values with those that collapsed trials had.
        runs: by seed, the judged runs that its value is the mean of; none where it is interpolated.
        between: by seed, what its value was interpolated between; none where it was measured at the place.
        neighbours: the mean of `between` over its seeds; None where every value was measured at the place.
        draws: by seed, how far the values of its draws lie apart; where there are several and the value was measured.
        apart: the most of these; None without any.
        interval: of `values`: mean and Student interval over seeds; None without a value.
        inclusive_interval: the same of `inclusive`.
        over_images: percentile interval of the mean over test images, the networks fixed; None where the results do not
            say which images each network has right.
        cut_off: of a metric at early stopping, in how many seeds with a value a run was still improving where it ended,
            so that it would have stopped later.
    """

    values: Mapping[int, float] = field(default_factory=dict)
    broken: Mapping[int, Outcome] = field(default_factory=dict)
    missing: Mapping[int, Gap] = field(default_factory=dict)
    inclusive: Mapping[int, float] = field(default_factory=dict)
    runs: Mapping[int, tuple[Run, ...]] = field(default_factory=dict)
    between: Mapping[int, Between] = field(default_factory=dict)
    neighbours: Between | None = None
    draws: Mapping[int, float] = field(default_factory=dict)
    apart: float | None = None
    interval: Interval | None = None
    inclusive_interval: Interval | None = None
    over_images: Interval | None = None
    cut_off: int = 0

    @property
    def n(self) -> int:
        """Seeds with a value."""
        return len(self.values)

    @property
    def trials(self) -> int:
        """Seeds with a value or an outcome that is not ok."""
        return len(self.values) + len(self.broken)

    @property
    def outcomes(self) -> Mapping[Outcome, int]:
        """How many trials have each outcome that is not ok, by its name."""
        return dict(sorted(Counter(self.broken.values()).items()))


@dataclass(frozen=True)
class Column:
    """One place of the axis.

    Args:
        place: the share that is left, in (0, 1]: the greatest of those that the column gathers. Only 1 itself is dense.
        label: in percent, distinct within the group.
        overall: least and greatest density over all parameters of the tickets in it; None where none is known.
    """

    place: float
    label: str
    overall: tuple[float, float] | None = None


@dataclass(frozen=True)
class Smallest:
    """How far an entry keeps the dense value.

    Args:
        tested: the smallest place by the test over seeds; None if the first one fails or nothing can be tested.
        testable: whether some place had two seeds or more in common with the dense network.
        by_seed: each seed's own smallest place; None where the first one is already worse.
    """

    tested: float | None
    testable: bool
    by_seed: Mapping[int, float | None]


@dataclass(frozen=True)
class Entry:
    """One entry of a group.

    Args:
        dense: whether it was evaluated only before anything was pruned: a reference, never ranked.
        rank: 1 for the best; shared by entries that are not told apart. None for a reference, for an entry that was
            tried with one seed, which nothing tells apart from any other, and where no place is shared.
        leader: the entry that it was tested against to find its rank; None for the first of the order.
        cells: by place; absent where nothing was tried. A reference has one, at place 1.
        areas: by seed, the area under the value over ln(place), divided by the range; of seeds with a value at all
            shared places. `area`: their mean with its Student interval; None without one.
        smallest: how far it keeps the value of the group's `reference`; None without one, and for references.
        outcomes: how many of its seeds times places have each outcome, "ok" too.
    """

    name: str
    dense: bool
    rank: int | None
    leader: str | None
    cells: Mapping[float, Cell]
    areas: Mapping[int, float]
    area: Interval | None
    smallest: Smallest | None
    outcomes: Mapping[Outcome, int]

    @property
    def tried(self) -> int:
        """Its seeds times places, whatever came of them."""
        return sum(self.outcomes.values())

    def at(self, place: float) -> Cell:
        """Its cell at a place, empty if nothing was tried there; a reference is the same at all of them."""
        return self.cells.get(1.0 if self.dense else place, Cell())


@dataclass(frozen=True)
class Difference:
    """An entry minus the reference at one place, paired by seed.

    Args:
        pair: None where they have no seed in common.
        p: after Holm's correction over the table; None where one seed gives no test.
        over_images: percentile interval of the difference over test images, paired by image; None where unknown.
    """

    pair: Paired | None
    p: float | None = None
    over_images: Interval | None = None


@dataclass(frozen=True)
class Overall:
    """An entry minus the reference over all places at which both have a value.

    Args:
        places: these, from dense to sparse.
        pair: of each seed's mean over the places; None where no seed has a value of both at all of them.
    """

    places: tuple[float, ...]
    pair: Paired | None


@dataclass(frozen=True)
class Detectable:
    """What a paired t-test of this many pairs and this deviation finds four times in five.

    Args:
        pairs: the most that a difference of the table has.
        single: the least true difference that one uncorrected test finds.
        strictest: the same at the strictest step of Holm's correction; None where there is only one test.
        more: the same as `single` with more pairs.
    """

    pairs: int
    single: float
    strictest: float | None
    more: Mapping[int, float]


@dataclass(frozen=True)
class Differences:
    """All entries minus one.

    Args:
        against: the entry that is subtracted. `reference_ok`: whether it has a value anywhere in the group.
        entries: the others, in the order of the main table.
        by_place: by (entry, place), where both have a value.
        overall: by entry, over those places together; absent without any.
        tested: how many of them have a test; Holm's correction is over these.
        detectable: None where nothing has a spread.
    """

    against: str
    reference_ok: bool
    entries: tuple[str, ...]
    by_place: Mapping[tuple[str, float], Difference]
    overall: Mapping[str, Overall]
    tested: int
    detectable: Detectable | None

    @property
    def places(self) -> tuple[float, ...]:
        """The places at which some entry is compared, from dense to sparse."""
        return tuple(sorted({place for _, place in self.by_place}, reverse=True))


@dataclass(frozen=True)
class Images:
    """What is known of the test images.

    Args:
        count: how many there are.
        resamples: of the bootstrap.
        whole: whether every cell with a value has an interval over them.
    """

    count: int
    resamples: int
    whole: bool


@dataclass(frozen=True)
class Group:
    """All that is known of one model on one data set, for one metric.

    Args:
        axis: what the columns are; `AXES` has it in words.
        columns: from dense to sparse.
        entries: by name, in the order of the file, dense references among them.
        order: all entries but the references, best first; in the order of the file where no place is shared, and
            last those that were tried at no place at all.
        shared: the places below 1 that every entry was tried at which was tried anywhere; the order is by the mean over
            them.
        comparisons: by (a, b), a minus b of two ranked entries' means over the shared places, paired by seed and
            Holm-corrected over all pairs; absent without a common seed.
        differences: to the entry that the file compares with; None if it names none.
        reference: the dense entry whose value the smallest places keep; None without one that has a value.
        images: None where the results do not say which test images are right.
        unplaced: (entry, seed, outcome) of trials without a value where there is no column to show them in.
    """

    model: str
    data: str
    metric: Metric
    axis: AxisName
    columns: tuple[Column, ...]
    entries: Mapping[str, Entry]
    order: tuple[str, ...]
    shared: tuple[float, ...]
    comparisons: Mapping[tuple[str, str], Compared]
    differences: Differences | None
    reference: str | None
    images: Images | None
    unplaced: tuple[tuple[str, int, Outcome], ...]

    @property
    def places(self) -> tuple[float, ...]:
        """The columns' places, from dense to sparse."""
        return tuple(column.place for column in self.columns)

    @property
    def labels(self) -> Mapping[float, str]:
        """The columns' labels by place."""
        return {column.place: column.label for column in self.columns}

    @property
    def references(self) -> tuple[str, ...]:
        """The dense references, in the order of the file."""
        return tuple(entry.name for entry in self.entries.values() if entry.dense)

    @property
    def ranked(self) -> tuple[str, ...]:
        """The entries that are ranked, in the order of the file: all but the dense references."""
        return tuple(entry.name for entry in self.entries.values() if not entry.dense)

    @property
    def shown(self) -> tuple[Entry, ...]:
        """The entries as tables have them: the references, then the ranked ones in their order."""
        return tuple(self.entries[name] for name in (*self.references, *self.order))

    @property
    def cells(self) -> Sequence[Cell]:
        """All cells of all entries."""
        return [cell for entry in self.entries.values() for cell in entry.cells.values()]

    @cached_property
    def trials(self) -> int:
        """The trials of a cell that lacks none."""
        return max((cell.trials for cell in self.cells), default=0)

    @property
    def testable(self) -> int:
        """How many pairs of ranked entries could be tested."""
        return sum(one.p is not None for one in self.comparisons.values()) // 2

    def at(self, entry: str, place: float) -> Cell:
        """An entry's cell at a place; empty if there is no such entry or nothing was tried there."""
        found = self.entries.get(entry)
        return Cell() if found is None else found.at(place)

    def best(self, place: float) -> Entry | None:
        """The ranked entry with the best mean at a place, the first of equals; None where none has a value there."""
        found = [
            (entry, cell.interval.mean)
            for entry in self.shown
            if not entry.dense and (cell := entry.at(place)).interval
        ]
        if not found:
            return None
        return (max if self.metric.higher else min)(found, key=lambda pair: pair[1])[0]

    def column(self, stated: float) -> float | None:
        """The place that a stated density means; None if there is none."""
        return place_of(self.places, stated)


def place_of(places: Sequence[float], stated: float) -> float | None:
    """The one of several places that a stated density means: the nearest that prints so, as in a file's `densities`."""
    decimals = len(f"{stated:.10f}".rstrip("0").partition(".")[2])
    close = [p for p in places if abs(p - stated) <= SAME_PLACE * stated or round(p, decimals) == stated]
    return min(close, key=lambda place: abs(place - stated)) if close else None


@dataclass(frozen=True)
class Blocks:
    """Entries ranked in each of several blocks, a block being one model on one data set.

    Args:
        names: the blocks, (model, data).
        mean_ranks: by entry, 1 being best, ascending; empty if fewer than two entries are in all blocks.
        statistic: Friedman's chi-square; None if there are too few entries or blocks for it.
        p: of Friedman's test.
        critical: mean ranks further apart than this differ at the level asked for (Nemenyi); None without a test.
        why: why there is no test; empty if there is one.
        partial: the ranked entries that some block lacks, so that they have no mean rank.
    """

    names: tuple[tuple[str, str], ...]
    mean_ranks: Mapping[str, float]
    statistic: float | None
    p: float | None
    critical: float | None
    why: str
    partial: tuple[str, ...] = ()


@dataclass(frozen=True)
class ExpectationSide:
    """What an expectation looks at: an entry's metric, at a density or round or at all, at one position or the end."""

    entry: str
    metric: str
    density: float | None = None
    round: int | None = None
    position: str | None = None

    @property
    def label(self) -> str:
        """The metric and where it is looked at, in words."""
        at = [] if self.density is None else [f"at density {100 * self.density:.3g} %"]
        at += [] if self.round is None else [f"in round {self.round}"]
        if self.position is not None:
            at.append(f"at {'the ' if self.position in ('start', 'end') else ''}{self.position}")
        return " ".join([self.metric, *at])


@dataclass(frozen=True)
class Expectation:
    """A published result that a file is held against: `better` is better than `worse`, which may be a number.

    Args:
        published: the published values of better and worse, if the file has both.
        difference, ratio: what is published of better minus worse, and of better over worse, where it is that.
        equal_within: the margin of an equality; None where the expectation has a direction, or where the margin is
            `equal_within_share`, a share of worse.
        judge: False where the file's recipe is not the paper's: the difference is shown, not judged.
    """

    source: str
    claim: str
    better: ExpectationSide
    worse: ExpectationSide | float
    published: tuple[float, float] | None
    judge: bool
    difference: float | None = None
    ratio: float | None = None
    equal_within: float | None = None
    equal_within_share: float | None = None

    @property
    def is_equality(self) -> bool:
        """Whether the two sides are expected to be equal; otherwise it has a direction."""
        return self.equal_within is not None or self.equal_within_share is not None


Verdict = Literal["contradicted", "undecided", "not judged", "reproduced"]

VERDICTS: tuple[Verdict, ...] = ("contradicted", "undecided", "not judged", "reproduced")
"""In the order of the page."""


@dataclass(frozen=True)
class Judgement:
    """One expectation on one model and data: the verdict and what it rests on.

    Args:
        where: (model, data); None where nothing has the metric.
        pair: the paired difference, better minus worse; None where nothing could be compared.
        means: of better and of worse, over the seeds that both have.
        over: how many places the means are over; `kind` says what these are.
        broken: (entry, cell) of the compared cells that have trials which are not ok.
        reason: why nothing could be compared; empty otherwise.
        why: why it is not judged; empty otherwise.
        direction: what the verdict would be if it were judged.
        interpolated: whether some of the compared values lie between tickets.
        cut_off: the entries of which some run was still improving where it ended, in what early stopping is compared.
        p: of an equality, the larger p of the two one-sided tests; None where there is no test.
    """

    verdict: Verdict
    expectation: Expectation
    where: tuple[str, str] | None
    metric: Metric
    pair: Paired | None = None
    means: tuple[float, float] | None = None
    over: int = 1
    kind: Literal["densities", "rounds"] = "densities"
    broken: tuple[tuple[str, Cell], ...] = ()
    reason: str = ""
    why: str = ""
    direction: Verdict = "undecided"
    interpolated: bool = False
    cut_off: tuple[str, ...] = ()
    p: float | None = None


@dataclass(frozen=True)
class Board:
    """Everything that a leaderboard shows.

    Args:
        metric: "SPLIT/NAME" that it ranks by. `measured`: all that evaluations have.
        against: the entry that the others are compared with, if any.
        alpha: the level of tests; intervals cover 1 - alpha.
        notes: what a reader must know before the first number, a sentence each.
        groups: by model and data, in the order of their names.
        blocks: the groups taken together.
        expectations: published results against ours, contradictions first.
        provenance: where the numbers come from.
    """

    name: str
    claim: str
    metric: str
    measured: tuple[str, ...]
    against: str | None
    alpha: float
    axis: AxisName
    notes: tuple[str, ...]
    groups: tuple[Group, ...]
    blocks: Blocks
    expectations: tuple[Judgement, ...]
    provenance: Provenance
    ranked_by: Callable[[str], Board] = field(repr=False, compare=False)
    """The board of the same results by another metric."""

    def of(self, metric: str) -> Board:
        """The same results ranked by another metric, without expectations; itself for its own.

        Raises: PrunebenchError if no evaluation has it.
        """
        return self if metric == self.metric else self.ranked_by(metric)
