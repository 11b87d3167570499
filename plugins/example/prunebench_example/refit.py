"""Pruning by magnitude, after which each neuron's surviving weights are fitted to what it gave before.

Of a neuron with weights w that reads x, the weights v that are kept solve min E[(w x - v x)^2], by least squares over
training examples; a filter is a neuron at each place of an image. Layers of other kinds lose their smallest weights
alike, and nothing of them is fitted.

Source: Hassibi & Stork 1993 (surviving weights make up for what is removed); an example of a pruning that updates
weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Mask, Units
    from prunebench.api.task import Task
    from prunebench.api.tickets import Pruned


class RefitConfig(ComponentConfig):
    """`examples`: how many training examples are read at most; `damping`: added to the diagonal, times its mean."""

    examples: int = Field(default=1_024, ge=1)
    damping: float = Field(default=1e-4, gt=0, allow_inf_nan=False)


class Refit:
    """Of all units alive the largest stay, wherever they lie."""

    def __init__(self, config: RefitConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_prune(
        self, model: nn.Module, data: Data, task: Task, units: Units, mask: Mask, count: int
    ) -> Pruned:
        """The mask, and the weights that it leaves."""
        from prunebench.api.masks import Mask
        from prunebench.api.tickets import Pruned
        from prunebench.kernels.selection import keep_highest

        scores = units.reduce(lambda name, weight: weight.abs())
        kept = Mask(keep_highest(scores.values, mask.keep, count))
        keep = units.expand(kept)
        products = self._products(model, data, task, keep.keys())
        return Pruned(
            kept,
            {
                name: fitted(model.get_parameter(name).detach(), keep[name], product, self._config.damping)
                for name, product in products.items()
            },
        )

    def _products(self, model: nn.Module, data: Data, task: Task, names: Iterable[str]) -> dict[str, Tensor]:
        """The sums of x x' over what the neurons of each layer read, in float64, under the name of its weight."""
        import torch

        from prunebench.api.data import in_order

        found: dict[str, Tensor] = {}
        wanted = set(names)

        def add(name: str, module: nn.Module, inputs: Tensor) -> None:
            x = read(module, inputs.detach()).double()
            found[name] = found.get(name, 0) + x.T @ x

        handles = [
            module.register_forward_pre_hook(lambda module, args, name=f"{layer}.weight": add(name, module, args[0]))
            for layer, module in model.named_modules()
            if can_be_fitted(module) and f"{layer}.weight" in wanted
        ]
        train = data["train"]
        left = min(self._config.examples, train.size)
        with torch.no_grad():
            for batch in train.batches(in_order(left, 64)):
                model(task.batch(*batch)[0])
        for handle in handles:
            handle.remove()
        return found


def can_be_fitted(module: nn.Module) -> bool:
    """Whether a layer is linear, or a convolution whose filters read all channels, with zeros around an image."""
    from torch import nn

    if not isinstance(module, nn.Conv2d):
        return isinstance(module, nn.Linear)
    return module.groups == 1 and module.padding_mode == "zeros" and not isinstance(module.padding, str)


def read(module: nn.Module, inputs: Tensor) -> Tensor:
    """What the neurons of a layer read, in the order of their weights: of shape (examples x places, weights)."""
    from torch import nn
    from torch.nn.functional import unfold

    if isinstance(module, nn.Conv2d):
        assert not isinstance(module.padding, str)
        at_places = unfold(inputs, module.kernel_size, module.dilation, module.padding, module.stride)
        return at_places.transpose(1, 2).flatten(0, 1)
    return inputs.flatten(0, -2)


def fitted(weight: Tensor, keep: Tensor, product: Tensor, damping: float) -> Tensor:
    """The weights of each neuron with only what is kept of them, fitted; 0 elsewhere.

    Args:
        weight, keep: of shape (neurons, ...).
        product: the sum of x x' over the examples, of shape (weights of a neuron, weights of a neuron).
    """
    import torch

    product = product + damping * product.diagonal().mean().clamp_min(1e-12) * torch.eye(len(product)).to(product)
    rows, new = weight.flatten(1), torch.zeros_like(weight).flatten(1)
    for row, kept in enumerate(keep.flatten(1)):
        if bool(kept.any()):
            whole = product[kept] @ rows[row].to(product)
            new[row, kept] = torch.linalg.solve(product[kept][:, kept], whole).to(new)
    return new.view_as(weight)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `refit`."""
    yield Component("refit", RefitConfig, Refit, version=1, paper="Hassibi & Stork 1993")
