"""Places of the axis: a ticket's own density, or a cost at which no ticket need lie.

Half of the channels is not half of the weights, so entries with different units are compared at an equal cost: at a
share of all parameters or of the multiply-accumulates. Each seed's tickets are points over that axis. Between two
neighbouring ones the value is interpolated linearly in the logarithm of the axis; beyond a seed's own tickets, and
between tickets that are far apart, there is none.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import inf, log
from statistics import mean
from typing import Literal, TypeAlias

from prunebench.api.board import AXES, SAME_PLACE, SOLVED_PLACE, AxisName, Between, Gap, Run
from prunebench.api.errors import PrunebenchError
from prunebench.api.metric import Metric
from prunebench.api.rows import Outcome
from prunebench.leaderboard.tickets import Lost, Ticket, worst

WIDEST = 2.0
"""How far apart, as a ratio, two tickets may lie for the line between them to say what is there."""

STEEPEST = 0.1
"""How far apart their values may lie, as a share of the metric's range; of the larger one where it has no range."""


Foreseen: TypeAlias = Literal["there", "between", "none", "unknown"]
"""What a place will have: a ticket, two near enough to read a value off the line between them, neither; or nobody knows
yet."""


def foreseen(tickets: Sequence[tuple[float | None, float | None]], place: float) -> Foreseen:
    """What a place will have, before any value is known.

    Args:
        tickets: of each where it lies, None where only its pruning finds that, and the share that it is cut to.
    """
    rounds = [_Round(None, lies, None, "ok", asked=asked) for lies, asked in tickets]
    if any(one.is_there(place) for one in rounds):
        return "there"
    known = [one.place for one in rounds if one.place is not None]
    if len(known) < len(rounds):
        return "unknown"
    left, right = [lies for lies in known if lies > place], [lies for lies in known if lies < place]
    return "between" if left and right and min(left) / max(right) <= WIDEST else "none"


def note_of(axis: AxisName, *, solved: bool = False) -> str:
    """What a reader must know of values that no ticket had. `solved`: masks were cut to shares of this cost."""
    nearest = f", or {100 * SOLVED_PLACE:g} % where its mask was cut to just that cost" if solved else ""
    return (
        f"Entries are compared at an equal {AXES[axis]}, since they prune different units. The value of a seed there "
        f"is that of its ticket there (within {100 * SAME_PLACE:g} % of the place{nearest}), or else interpolated, "
        "linearly in the logarithm, between its two nearest judged tickets: marked with ≈, and shown with both. Where "
        f"it has none on both sides, where these lie more than {WIDEST:g} times apart, or where their values are more "
        f"than {100 * STEEPEST:g} % of the metric's range (of the larger one, where it has no range) apart, there is "
        "no value. The tickets themselves are in results.jsonl."
    )


@dataclass(frozen=True)
class AxisPoint:
    """What one seed of an entry has at one place of the axis: a value, or what became of it, or why neither.

    Args:
        overall: the ticket's density over all parameters; None where that is the axis, or it is not known.
        run: the judged run that the value is of; None where it is of none, or where the axis is a cost.
        between: the tickets that it was interpolated between; None where it was measured.
        gap: why there is neither a value nor an outcome that is not ok.
        draws: the values that a measured one is the mean of.
    """

    entry: str
    seed: int
    place: float
    outcome: Outcome
    value: float | None
    overall: float | None = None
    run: Run | None = None
    between: Between | None = None
    gap: Gap | None = None
    draws: tuple[float, ...] = ()
    cut_off: bool = False
    """Whether a run behind it stopped early only where it ended."""


def at_own_density(tickets: Sequence[Ticket]) -> list[AxisPoint]:
    """Each ticket at its own density."""
    return [
        AxisPoint(
            ticket.entry,
            ticket.seed,
            ticket.density,
            ticket.outcome,
            ticket.value,
            ticket.density_all,
            None if ticket.value is None else Run(ticket.round, ticket.draw, ticket.value),
            cut_off=ticket.cut_off,
        )
        for ticket in tickets
        if ticket.density is not None
    ]


def on_cost_axis(
    tickets: Sequence[Ticket],
    lost: Sequence[Lost],
    axis: AxisName,
    at: Sequence[float],
    dense: frozenset[str],
    metric: Metric,
) -> list[AxisPoint]:
    """Each trial at the places `at` of an axis, and dense references at 1.

    Args:
        dense: the entries that are references.
        metric: what the values are of; its range says how far apart two may lie.
    Raises:
        PrunebenchError: a ticket does not say where it lies on the axis.
    """
    trials: dict[tuple[str, int], tuple[list[Ticket], list[Lost]]] = defaultdict(lambda: ([], []))
    for ticket in tickets:
        trials[ticket.entry, ticket.seed][0].append(ticket)
    for run in lost:
        trials[run.entry, run.seed][1].append(run)
    points: list[AxisPoint] = []
    for (entry, seed), (own, gone) in sorted(trials.items()):
        if all(ticket.round == 0 for ticket in own):
            points += at_own_density(own)
        if entry not in dense:
            rounds = _known(own, gone, axis)
            points += [_at(entry, seed, rounds, place, metric) for place in sorted(at, reverse=True)]
    return points


@dataclass(frozen=True)
class _Round:
    """One round's tickets: where they lie on the axis, their mean over draws, the worst outcome.

    A round without a ticket (its training failed or diverged) has no place; what it did, the places near it share.
    Those are found by its density, which is None where a trial broke before its first ticket.
    """

    density: float | None
    place: float | None
    value: float | None
    outcome: Outcome
    draws: tuple[float, ...] = ()
    asked: float | None = None
    """The share of the axis that its masks were cut to."""
    cut_off: bool = False

    def is_there(self, place: float) -> bool:
        """Whether it is at a place. The dense network is at 1 alone, however near a place is."""
        within = SOLVED_PLACE if self.is_cut_to(place) else SAME_PLACE
        return self.place is not None and self.place < 1 and abs(self.place - place) <= within * place

    def is_cut_to(self, place: float) -> bool:
        """Whether its masks were cut to a place, which may be printed with fewer digits."""
        return self.asked is not None and abs(self.asked - place) <= SAME_PLACE * place


def _known(tickets: Sequence[Ticket], lost: Sequence[Lost], axis: AxisName) -> list[_Round]:
    rounds: dict[int, list[Ticket]] = defaultdict(list)
    for ticket in tickets:
        rounds[ticket.round].append(ticket)
    found = [_round(own, axis) for own in rounds.values()]
    by_place: dict[float | None, list[_Round]] = defaultdict(list)
    for one in found:
        by_place[one.place].append(one)
    gone = by_place.pop(None, [])
    met = [_met(own) for own in by_place.values()]
    return [*met, *gone, *(_Round(run.density, None, None, run.outcome) for run in lost)]


def _met(rounds: Sequence[_Round]) -> _Round:
    """Rounds that lie at one place, as one: which of them is there would be a matter of their order."""
    if len(rounds) == 1:
        return rounds[0]
    densities = [one.density for one in rounds if one.density is not None]
    values = [one.value for one in rounds if one.value is not None]
    outcome = worst(one.outcome for one in rounds)
    value = mean(values) if len(values) == len(rounds) else None
    return _Round(
        mean(densities), rounds[0].place, value, outcome, (), rounds[0].asked, any(one.cut_off for one in rounds)
    )


def _round(tickets: Sequence[Ticket], axis: AxisName) -> _Round:
    outcome = worst(ticket.outcome for ticket in tickets)
    density = mean(ticket.density for ticket in tickets if ticket.density is not None)
    places = [place for ticket in tickets if (place := getattr(ticket, axis)) is not None]
    if len(places) < len(tickets):
        if outcome not in ("failed", "diverged"):
            where = tickets[0]
            do = "run it again with an empty store"
            if axis == "latency":
                do = "give the entry an analysis that measures `latency_share`"
            raise PrunebenchError(f"{where.entry}, seed {where.seed}, round {where.round}: no {axis} is recorded; {do}")
        return _Round(density, None, None, outcome)
    values = [ticket.value for ticket in tickets if ticket.value is not None]
    whole = len(values) == len(tickets)
    drawn, value = (tuple(values), mean(values)) if whole else ((), None)
    asked = {ticket.asked.get(axis) for ticket in tickets}
    cut_off = any(ticket.cut_off for ticket in tickets)
    return _Round(density, mean(places), value, outcome, drawn, asked.pop() if len(asked) == 1 else None, cut_off)


def _at(entry: str, seed: int, rounds: Sequence[_Round], place: float, metric: Metric) -> AxisPoint:
    lying = [(one.place, one) for one in rounds if one.place is not None]
    # What was cut to the place itself comes first.
    near = sorted(lying, key=lambda one: (not one[1].is_cut_to(place), abs(log(one[0] / place))))
    there = next((one for _, one in near if one.is_there(place)), None)
    if there is not None:
        return AxisPoint(entry, seed, place, there.outcome, there.value, draws=there.draws, cut_off=there.cut_off)
    left = min((one for one in lying if one[0] > place), key=lambda one: one[0], default=None)
    right = max((one for one in lying if one[0] < place), key=lambda one: one[0], default=None)
    most = left[1].density if left and left[1].density is not None else inf
    least = right[1].density if right and right[1].density is not None else 0.0
    broken = [
        one.outcome for one in rounds if one.place is None and (one.density is None or least <= one.density <= most)
    ]
    if broken:
        return AxisPoint(entry, seed, place, worst(broken), None)
    if left is None or right is None:
        sides = [one for one in (left, right) if one is not None]
        gap = Gap("beyond" if sides else "no ticket", *_placed(sides))
        return AxisPoint(entry, seed, place, "ok", None, gap=gap)
    (left_place, above), (right_place, below) = left, right
    if left_place / right_place > WIDEST:
        return AxisPoint(entry, seed, place, "ok", None, gap=Gap("far", *_placed([left, right])))
    outcome = worst([above.outcome, below.outcome])
    if above.value is None or below.value is None:
        return AxisPoint(entry, seed, place, outcome, None)
    if outcome == "ok" and abs(above.value - below.value) > _steepest(metric, above.value, below.value):
        return AxisPoint(entry, seed, place, "ok", None, gap=Gap("steep", *_placed([left, right])))
    share = log(left_place / place) / log(left_place / right_place)
    value = above.value + share * (below.value - above.value)
    between = Between((left_place, right_place), (above.value, below.value))
    cut_off = above.cut_off or below.cut_off
    return AxisPoint(entry, seed, place, outcome, value, between=between, cut_off=cut_off)


def _steepest(metric: Metric, *values: float) -> float:
    """How far apart these two values may lie for the line between them to be read."""
    if metric.low is None or metric.high is None:
        return STEEPEST * max(map(abs, values))
    return STEEPEST * (metric.high - metric.low)


def _placed(rounds: Sequence[tuple[float, _Round]]) -> tuple[tuple[float, ...], tuple[float | None, ...]]:
    return tuple(place for place, _ in rounds), tuple(one.value for _, one in rounds)
