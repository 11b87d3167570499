"""Where the tickets of a plan come to lie on the axis that its board compares at, as far as that is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from prunebench.api.board import AxisName
from prunebench.api.cost_share import AXIS_OF, CostShare
from prunebench.api.planning import Evaluation
from prunebench.leaderboard.axis import Foreseen, foreseen
from prunebench.plan.trial import Plan, Trial
from prunebench.store.store import Store


@dataclass(frozen=True)
class Lying:
    """One judged ticket: its density of units and its place on the axis; None for what only its pruning finds.

    Args:
        asked: the share of the axis that its mask is cut to.
    """

    density: float | None
    place: float | None
    asked: float | None = None
    dense: bool = False
    """Whether it is of round 0."""


@dataclass(frozen=True)
class Landing:
    """The judged tickets of one entry on one model and data, for its first seed, from dense to sparse.

    Args:
        at: what each place that the board compares at will have.
    """

    entry: str
    model: str
    data: str
    tickets: tuple[Lying, ...]
    at: dict[float, Foreseen] = field(default_factory=dict)

    def again(self) -> int:
        """How many judged rounds have the network of an earlier one, as far as that is known: they removed no unit."""
        known = [1.0, *(one.density for one in self.tickets if one.density is not None and not one.dense)]
        return len(known) - len(set(known))

    def without(self) -> list[float]:
        """The places at which it will have no value."""
        return [place for place, what in self.at.items() if what == "none"]


def landings(plan: Plan, axis: AxisName, at: Sequence[float], store: Store | None = None) -> Iterator[Landing]:
    """Where the tickets of each entry lie.

    Args:
        at: the places that the board compares at.
        store: prunings that it has say where their tickets lie.
    """
    seen = set()
    for trial in plan.trials:
        where = trial.entry, trial.model, trial.data
        if where in seen:
            continue
        seen.add(where)
        tickets = tuple({one.round: _lying(trial, one, axis, store) for one in trial.evaluations}.values())
        places = [(one.place, one.asked) for one in tickets]
        pruned = any(one.round for one in trial.evaluations)
        yield Landing(*where, tickets, {place: foreseen(places, place) for place in at} if pruned else {})


def _lying(trial: Trial, evaluation: Evaluation, axis: AxisName, store: Store | None) -> Lying:
    count = evaluation.run.ticket.count
    asked = count.share if isinstance(count, CostShare) and AXIS_OF[count.of] == axis else None
    if evaluation.round == 0:
        return Lying(1.0, 1.0, dense=True)
    if store is not None and evaluation.mask is not None and store.has(evaluation.mask.address):
        meta = store.meta(evaluation.mask.address).meta
        shares = {"density_all": ("parameters", "parameters_all"), "density_macs": ("macs", "macs_all")}
        if "count" in meta:
            density = meta["count"] / trial.units
            part, whole = shares.get(axis, ("", ""))
            known = meta[part] / meta[whole] if part in meta else None
            return Lying(density, density if axis == "density" else known, asked)
    if isinstance(count, CostShare):
        return Lying(None, asked, asked)
    density = count / trial.units
    if axis == "density":
        return Lying(density, density)
    # Of single weights each unit is one parameter.
    single = all(layer.shape for layer in trial.layers)
    if axis == "density_all" and single and trial.coverage is not None and trial.coverage.prunable == trial.units:
        return Lying(density, 1 - (trial.units - count) / trial.parameters)
    return Lying(density, None)
