"""Multiply-accumulates of one example: of the dense network, and what a mask leaves of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from prunebench.api.masks import Mask, Units
from prunebench.kernels.identity import canonical_names, retied
from prunebench.kernels.networks import copied

Weights = tuple[str, ...]
"""First names of the parameters that a product multiplies with, in the network's order; none in attention itself."""


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one example; `effective` leaves out those with a weight that is masked."""

    dense: int
    effective: int


class MacsCounter:
    """Counts what masks leave of one network, on the meta device, by weight; without biases, norms and activations.

    Units that can be taken out are taken out and the smaller network is counted. Of single weights, the share of a
    parameter's weights that are kept is the share of its multiplications that count: wherever it is used, by whatever
    layer or function, and as often as it is.

    Args:
        model: the network, with parameters of the dense shapes.
        example: a batch of one as the network takes it, such as `Task.example` gives.
    """

    def __init__(self, model: nn.Module, example: Tensor, units: Units) -> None:
        self._model, self._example, self._units = model, example, units
        self._dense = by_weight(model, example)

    @property
    def dense(self) -> int:
        """Of the whole network."""
        return sum(self._dense.values())

    def under(self, mask: Mask) -> int:
        """Without those with a weight that is masked."""
        units = self._units
        if any(units.members()):
            return sum(by_weight(units.shrink(self._model, mask), self._example).values())
        # Exact shares: a mean in float32 would depend on how the processor sums more than 2^24 weights.
        keep = {name: Fraction(int(kept.sum()), kept.numel()) for name, kept in units.expand(mask).items()}

        def share(weights: Weights) -> Fraction:
            # Of a weight that several parameters make, such as one that a norm scales, the masked one has the zeros.
            return min((keep[name] for name in weights if name in keep), default=Fraction(1))

        return round(sum(macs * share(weights) for weights, macs in self._dense.items()))


def macs_of(model: nn.Module, example: Tensor, units: Units, mask: Mask | None) -> Macs:
    """What MacsCounter counts of a network, dense and under one mask."""
    counter = MacsCounter(model, example, units)
    return Macs(counter.dense, counter.dense if mask is None else counter.under(mask))


def by_weight(model: nn.Module, example: Tensor) -> Mapping[Weights, int]:
    """Multiply-accumulates of one example by the parameters that it is multiplied with."""
    try:
        return _counted(model, example, "meta")
    except Exception:
        # A forward pass that looks at values, as to choose between branches, needs values.
        return _counted(model, example, "cpu")


def _counted(model: nn.Module, example: Tensor, device: str) -> Mapping[Weights, int]:
    # A copy, whose forward pass may not change the running statistics of the original.
    # Moving makes a parameter of each of its names.
    counted = retied(copied(model).to(device), canonical_names(model)).eval()
    inputs = example.to(device)
    products = _Products(counted, inputs)
    with torch.no_grad(), _one_operation_at_a_time(), products:
        counted(inputs)
    return products.found


@contextmanager
def _one_operation_at_a_time() -> Iterator[None]:
    """Without torch's fused transformer layers, in which no product can be seen."""
    before = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(before)


class _Products(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Follows parameters and data through every operation, and counts the products of the two.

    Tensors are told apart by their memory, so views of a parameter are that parameter. What is computed from parameters
    alone (a normed weight) stands for them; what any data entered is data.
    """

    def __init__(self, model: nn.Module, inputs: Tensor) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: dict[Weights, int] = {}
        parameters = dict(model.named_parameters())
        self._order = {name: place for place, name in enumerate(parameters)}
        self._matrices = {name for name, parameter in parameters.items() if parameter.ndim > 1}
        self._from = {_memory(parameter): frozenset([name]) for name, parameter in parameters.items()}
        self._data = {_memory(inputs)}
        self._kept: list[Tensor] = [inputs]  # memory that is given back could be another tensor's

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        packet = func._overloadpacket
        if packet not in flop_registry:
            with self:
                parts = func.decompose(*args, **given)
            if parts is not NotImplemented:
                return parts
        out = func(*args, **given)
        tensors = [leaf for leaf in tree_leaves((args, given)) if isinstance(leaf, Tensor)]
        if packet in flop_registry:
            macs = flop_registry[packet](*args, **given, out_val=out) // 2
            weights = self._weights([tensor for tensor in tensors if _memory(tensor) not in self._data])
            self.found[weights] = self.found.get(weights, 0) + macs
        self._follow(tensors, [leaf for leaf in tree_leaves(out) if isinstance(leaf, Tensor)])
        return out

    def _weights(self, tensors: Sequence[Tensor]) -> Weights:
        names = {name for tensor in tensors for name in self._from.get(_memory(tensor), ())}
        # A bias enters a product too, and multiplies nothing.
        return tuple(sorted((names & self._matrices) or names, key=self._order.__getitem__))

    def _follow(self, entered: Sequence[Tensor], made: Sequence[Tensor]) -> None:
        data = any(_memory(tensor) in self._data for tensor in entered)
        names = frozenset(name for tensor in entered for name in self._from.get(_memory(tensor), ()))
        for tensor in made:
            self._kept.append(tensor)
            where = _memory(tensor)
            if data:
                self._data.add(where)
            elif where not in self._data:
                self._from[where] = self._from.get(where, frozenset()) | names


def _memory(tensor: Tensor) -> int:
    return int(tensor.untyped_storage()._cdata)
