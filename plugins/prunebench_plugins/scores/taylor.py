"""Taylor scores: by how much the loss changes, to first order, if a weight is removed from the trained network.

Removal changes the loss of a batch by about g * w; the removal of a group of weights by about the sum of theirs. Batch
norm uses its running statistics; examples are un-augmented.

Source: Molchanov et al. 2019 (Importance estimation for neural network pruning), equations 6 to 8
(8 is that of groups).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from prunebench import Component, ComponentConfig, ContractError, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Scores, Units
    from prunebench.api.planning import Request
    from prunebench.api.random import Rng
    from prunebench.api.task import Task


class TaylorConfig(ComponentConfig):
    """`batch`, `batches`: the training examples that are looked at.

    `change`: what is accumulated. "squared", the paper's: the mean of (g * w)^2 over batches. "absolute": the mean of
    |g * w| over batches. "total": (g * w)^2 of the mean gradient, in which batches may cancel.

    `group`: for units that are channels, what of a channel's changes is added before they are squared: those of the
    weights that produce it ("out") or read it ("in"), of the scale of its norm layer ("norm"), of its shift and other
    biases ("bias"). ["norm", "bias"] is the paper's gate behind the norm layer, ["out", "bias"] its whole filters.
    Each part alone is about the whole change, so parts that are added count it more than once. Empty: every weight is
    scored alone and the units reduce the scores.
    """

    batch: int = Field(default=128, ge=1)
    batches: int = Field(default=10, ge=1)
    change: Literal["squared", "absolute", "total"] = "squared"
    group: tuple[Literal["out", "in", "norm", "bias"], ...] = ()


class Taylor:
    """Scores the change of the loss, squared or absolute."""

    def __init__(self, config: TaylorConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> None:
        """Nothing; an error where single weights are to be scored as groups."""
        from prunebench_plugins.scores._channels import refuse_single_weights

        if self._config.group:
            refuse_single_weights(request, "taylor: group")

    @hookimpl
    def prunebench_score(self, model: nn.Module, data: Data, task: Task, units: Units, rng: Rng) -> Scores:
        """The score of every unit; a dead one's is 0, because its weights are."""
        from prunebench.api.masks import Scores
        from prunebench_plugins.scores._gradients import drawn, gradients, loss_of, probe

        config = self._config
        twin = probe(model, "running")
        sums: dict[str, Tensor] = {}
        for inputs, targets in drawn(data, task, rng, config.batch, config.batches):
            found = gradients(twin, loss_of(twin, task, inputs, targets))
            changes = {name: gradient * twin.get_parameter(name).detach() for name, gradient in found.items()}
            for name, change in (self._of_groups(units, changes) if config.group else changes).items():
                if config.change == "squared":
                    change = change.square()
                elif config.change == "absolute":
                    change = change.abs()
                sums[name] = sums.get(name, 0.0) + change / config.batches
        if config.change == "total":
            sums = {name: change.square() for name, change in sums.items()}
        if config.group:
            return Scores(tuple(sums[layer.name] for layer in units.layers))
        return units.reduce(lambda name, weight: sums[name])

    def _of_groups(self, units: Units, changes: dict[str, Tensor]) -> dict[str, Tensor]:
        """For each layer, the changes of what a channel owns, added: (count,)."""
        found = {}
        for layer, members in zip(units.layers, units.members(), strict=True):
            parts = [m.slices(changes[m.parameter]).sum(1) for m in members if m.role in self._config.group]
            if not parts:
                roles = " or ".join(f'"{role}"' for role in self._config.group)
                raise ContractError(
                    f'score taylor: group: the units of layer "{layer.name}" own nothing that is {roles}'
                )
            found[layer.name] = sum(parts[1:], parts[0])
        return found


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `taylor`."""
    yield Component("taylor", TaylorConfig, Taylor, version=1, paper="Molchanov et al. 2019")
