"""Which trained states an analysis of optima reads: the ends of judged runs, or those of the runs that find tickets.

An optimum's round is that of the ticket whose training it ends: round 0 is the dense network's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prunebench.api.planning import Request, Run, TrainedPoint


def judged_runs(request: Request) -> dict[int, Run]:
    """By round, the dense network's run under the evaluation recipe, and those that judge the entry's tickets.

    Of several draws it is the first. The dense run is mostly there already: it is also the first find run where both
    recipes are equal, and the run of an entry that trains the dense network.
    """
    assert request.evaluate is not None
    runs = {0: request.evaluate(request.tickets[0], 0)}
    judged = {evaluation.round: evaluation.run for evaluation in request.evaluations if evaluation.draw == 0}
    return dict(sorted((runs | judged).items()))


def ends_of_judged_runs(request: Request, who: str) -> Sequence[TrainedPoint]:
    """The ends of `judged_runs`, at least two.

    Raises:
        PlanError: an entry that prunes nothing, or judges no pruned ticket.
    """
    points = [run.optimum for run in judged_runs(request).values()]
    return _at_least_two(points, who, "it judges no pruned ticket")


def ends_of_find_runs(request: Request, who: str) -> Sequence[TrainedPoint]:
    """The ends of the runs that find the tickets, at least two.

    Raises:
        PlanError: the schedule has no find run, or a single one.
    """
    why = f"its schedule has {len(request.optima)} find runs"
    return _at_least_two(request.optima, who, why)


def _at_least_two(points: Sequence[TrainedPoint], who: str, why: str) -> Sequence[TrainedPoint]:
    from prunebench import PlanError

    if len(points) < 2:
        raise PlanError(
            f"{who}: it compares the optima of several rounds, and the entry has {len(points)}: {why}; ask it of one "
            "that prunes and trains again"
        )
    return points
