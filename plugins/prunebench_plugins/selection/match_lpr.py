"""Matched layerwise pruning ratios (LPR): every layer keeps as much as it does in another entry's ticket.

Which weights live is this entry's own choice, only how many of each layer is the other's: the experiment that tells
whether the ratios cause what a hyper-parameter does.

Source: "Uncovering the impact of hyperparameters for global magnitude pruning" 2020, section 3.4, figure 7.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, EntryRef, PlanError, hookimpl
from prunebench.api.tickets import Inputs
from prunebench.kernels.shares import best_of_each, shared

if TYPE_CHECKING:
    from prunebench.api.cost_share import Count
    from prunebench.api.masks import Mask, Scores
    from prunebench.api.planning import Needs, Request


class MatchLprConfig(ComponentConfig):
    """`of`: the entry whose tickets, before their edits, say how many units each layer keeps in each round."""

    of: EntryRef = Field(examples=["imp"])


class MatchLpr:
    """Keeps of each layer what another entry keeps of it."""

    def __init__(self, config: MatchLprConfig) -> None:
        self._of = config.of

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The other entry's ticket of the same round.

        Raises:
            PlanError: it has no such round, prunes other layers, or keeps another number of units in that round.
        """
        from prunebench.api.planning import Needs

        ours, theirs, round_ = request.chain, request.other(self._of), request.round
        if round_ > theirs.rounds:
            raise PlanError(
                f'match-lpr: entry "{self._of}" has no ticket of round {round_}: it prunes in {theirs.rounds} rounds; '
                "give both the same cut and rounds, or the same densities"
            )
        layers = ours.model.layers
        if layers != theirs.model.layers:
            raise PlanError(f'match-lpr: entry "{self._of}" prunes other layers; give both the same model and units')
        keeps, own = theirs.counts[round_], ours.counts[round_]
        # A selection that counts in each layer may be off by its rounding; beyond that the densities are not equal.
        near = isinstance(keeps, int) and isinstance(own, int) and abs(keeps - own) <= len(layers)
        if not near and keeps != own:
            raise PlanError(
                f'match-lpr: round {round_} of entry "{self._of}" keeps {_text(keeps)} and this entry {_text(own)}; '
                "give both the same cut and rounds, or the same densities"
            )
        return Needs({"theirs": (theirs.tickets[round_],)})

    @hookimpl
    def prunebench_select(self, scores: Scores, mask: Mask, count: int, inputs: Inputs) -> Mask:
        """The highest of each layer; as many as the other ticket has, scaled to `count` if its total is another."""
        (ticket,) = inputs["theirs"]
        assert ticket.mask is not None
        return best_of_each(scores, mask, shared(count, ticket.mask.counts, mask.counts))


def _text(count: Count) -> str:
    return f"{count:,} units" if isinstance(count, int) else str(count)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `match-lpr`."""
    paper = "Uncovering the impact of hyperparameters for global magnitude pruning, 2020"
    yield Component("match-lpr", MatchLprConfig, MatchLpr, version=1, paper=paper)
