"""Fine-tuning: after each pruning, training goes on from the surviving weights at a low learning rate.

Source: Han et al. 2015, section 3; Renda et al. 2020, section 2.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from pydantic import Field

from prunebench import Component, ComponentConfig, PlanError, Position, hookimpl

if TYPE_CHECKING:
    from prunebench.api.planning import Chain, PlannedTicket, Recipes
    from prunebench.api.recipe import Recipe

HORIZON = Position.parse("100%")
LOWEST_SHARE = 0.01
"""A last rate below this share of the peak trains next to nothing: fine-tuning then needs a rate of its own."""


class FineTuneConfig(ComponentConfig):
    """How each retraining goes on.

    `over`: how long. `optimizer`: another optimizer, with its own learning rate, which is then constant. `lr`: pieces
    of a schedule of its own, on a clock from 0 to `over`. With neither, the last rate of the recipe is kept.
    `one_shot`: cut the dense run once for each density, instead of round after round.
    """

    over: Position = Field(examples=["20ep"])
    optimizer: dict[str, Any] | None = None
    lr: tuple[dict[str, Any] | str, ...] | None = None
    one_shot: bool = False


class FineTune:
    """Weights carry on; the clock starts at the horizon."""

    def __init__(self, config: FineTuneConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_schedule(self, chain: Chain, recipes: Recipes) -> list[PlannedTicket]:
        """Train, then prune and go on from what survives; again."""
        more = self._retraining(chain, recipes)
        tickets = [chain.dense]
        run = dense = chain.find(chain.dense, 1)
        for round in range(1, chain.rounds + 1):
            if round > 1 and not self._config.one_shot:
                run = chain.find(tickets[-1], round)
            trained = dense if self._config.one_shot else run
            pruned = chain.prune(trained, round)
            optimizer = trained.end_optimizer
            tickets.append(chain.ticket(round, pruned.mask, pruned.weights, optimizer=optimizer, **more))
        return tickets

    def _retraining(self, chain: Chain, recipes: Recipes) -> dict[str, Any]:
        config = self._config
        changes: dict[str, Any] = {}
        if config.optimizer is not None:
            changes["optimizer"] = chain.use(config.optimizer, "optimizer")
        if config.lr is not None:
            changes["lr"] = tuple(chain.use(piece, "lr") for piece in config.lr)
            return {"changes": {**changes, "horizon": config.over, "stop": None}}
        if config.optimizer is not None:
            changes["lr"] = (chain.use("constant", "lr"),)
        else:
            for name, recipe in (("find", recipes.find), ("evaluate", recipes.evaluate)):
                self._check_last_rate(chain, recipe, name)
        return {"start": HORIZON, "over": config.over, "changes": changes}

    def _check_last_rate(self, chain: Chain, recipe: Recipe, name: str) -> None:
        rates = chain.rates(recipe)
        if rates[-1] < LOWEST_SHARE * max(rates):
            raise PlanError(
                f"schedule fine-tune: the {name} recipe ends at {rates[-1] / max(rates):.2%} of its highest learning "
                'rate, which trains next to nothing; state one: optimizer = { use = "sgd", lr = 0.001 }'
            )


@hookimpl
def prunebench_components() -> Iterator[Component]:
    """The component of this file."""
    yield Component("fine-tune", FineTuneConfig, FineTune, version=1, paper="Han et al. 2015; Renda et al. 2020")
