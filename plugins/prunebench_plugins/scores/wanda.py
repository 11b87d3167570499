"""Wanda: a weight is worth its magnitude times the norm of what it is multiplied with.

|W_ij| * ||X_j||, where X_j is the input that column j of the layer's weight reads in the training examples: of a
convolution, one channel at one place of the kernel, over all patches. The paper compares weights within each output of
a layer: select = "per-output". Nothing is updated and no gradient is taken. Norms are those of the network before any
layer is pruned; in the authors' code a layer reads what the pruned ones before it give.

Source: Sun et al. 2024 (A simple and effective pruning approach for large language models), equation 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Scores, Units
    from prunebench.api.planning import Request
    from prunebench.api.random import Rng
    from prunebench.api.task import Task


class WandaConfig(ComponentConfig):
    """`batch`, `batches`: the training examples that are looked at; the paper takes 128 sequences."""

    batch: int = Field(default=32, ge=1)
    batches: int = Field(default=4, ge=1)


class Wanda:
    """Scores |w| * the norm of its input."""

    def __init__(self, config: WandaConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> None:
        """Nothing; an error where other things are pruned than weights of convolutions and linear layers."""
        from prunebench_plugins.scores._weights import refuse_other_layers

        refuse_other_layers(request, "wanda")

    @hookimpl
    def prunebench_score(self, model: nn.Module, data: Data, task: Task, units: Units, rng: Rng) -> Scores:
        """|w| * ||x|| for every unit; a dead one's is 0, because its weight is.

        Raises:
            ContractError: what a layer reads is not known.
        """

        from prunebench.kernels.calibration import LayerInputs, as_matrices, drawn

        inputs = (x for x, _ in drawn(data, task, rng, self._config.batch, self._config.batches))
        names = [layer.name for layer in units.layers]
        calibration = LayerInputs("score wanda", model, inputs, names)
        squares: dict[str, Tensor] = {}

        def add(name: str, columns: Tensor) -> None:
            total = columns.square().sum(-1).double()
            squares[name] = squares[name] + total if name in squares else total

        calibration.look(names, add)

        def score(name: str, weight: Tensor) -> Tensor:
            norms = squares[name].sqrt()[:, None, :]
            return (as_matrices(weight.abs(), calibration.groups[name]) * norms).reshape(weight.shape)

        return units.reduce(score)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `wanda`."""
    yield Component("wanda", WandaConfig, Wanda, version=1, paper="Sun et al. 2024")
