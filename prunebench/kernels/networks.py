"""Building a network so that its weights depend on a seed alone, and the rest of the process does not notice."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn

from prunebench.api.errors import CannotTakePart, ContractError
from prunebench.kernels.identity import one_name_each


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """The global generators of torch, NumPy and Python begin at a seed inside, and are afterwards as they were.

    Args:
        seed: 0 <= seed < 2^64.
    """
    numpy_state, python_state = np.random.get_state(legacy=True), random.getstate()
    devices = list(range(torch.cuda.device_count())) if torch.cuda.is_initialized() else []  # type: ignore[no-untyped-call]
    try:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(seed)
            np.random.seed([seed & 0xFFFFFFFF, seed >> 32])
            random.seed(seed)
            yield
    finally:
        np.random.set_state(numpy_state)
        random.setstate(python_state)


def built(make: Callable[[], nn.Module], seed: int = 0) -> nn.Module:
    """The network of a constructor that draws from the global generators, begun at a seed.

    Its states have one name for each tensor (see `one_name_each`), and it can be copied at any time (see `copied`).

    Raises:
        ContractError: it gives no network.
    """
    with seeded(seed):
        model = make()
    if not isinstance(model, nn.Module):
        raise ContractError(f"prunebench_model gave {type(model).__name__}, not an nn.Module")
    return one_name_each(_copyable(model))


def reproducible(draw: Callable[[], nn.Module]) -> tuple[nn.Module, nn.Module]:
    """What `draw` gives, twice: with equal weights.

    Raises:
        CannotTakePart: the two differ though the global generators began alike: the network draws from a generator of
            its own, the clock or the system; names the first tensor.
    """
    first, second = draw(), draw()
    again = second.state_dict()
    for name, value in first.state_dict().items():
        if isinstance(value, Tensor) and not _same(value, again[name]):
            raise CannotTakePart(
                f"{name} has other values each time that the network is built: its constructor must draw from the "
                "global generators of torch, NumPy or Python, which are seeded"
            )
    return first, second


_EXAMPLES = 2
"""A norm layer refuses one alone."""
_APART = 1e-3
"""Of the largest output: what two networks of equal weights may differ by. Rounding is far below, noise above."""


def check_answers(first: nn.Module, second: nn.Module, shape: Sequence[int]) -> None:
    """Nothing if two networks of equal weights answer alike, in training and in evaluation; their buffers may change.

    Nothing either where they take no random numbers in [0, 1) of that shape.

    Raises:
        CannotTakePart: they differ though the global generators began alike: a forward pass draws from a generator of
            its own, the clock or the system, or counts what went before.
    """
    inputs = torch.rand(_EXAMPLES, *shape, generator=torch.Generator().manual_seed(0))
    for training in (True, False):
        answers = []
        for model in (first, second):
            try:
                with seeded(0), torch.no_grad():
                    answers.append(model.train(training)(inputs.clone()))
            except Exception:
                return  # what a run feeds it is tried while planning
        one, other = answers
        if not (isinstance(one, Tensor) and isinstance(other, Tensor) and one.shape == other.shape and one.numel()):
            return
        one, other = one.double().nan_to_num(), other.double().nan_to_num()
        if (one - other).abs().max() > _APART * one.abs().max():
            raise CannotTakePart(
                "it gives other outputs each time for the same weights and images: its forward pass must draw from "
                "the global generators of torch, NumPy or Python, which are seeded, and may not depend on what went "
                "before"
            )


def _same(one: Tensor, other: Tensor) -> bool:
    # Memory that was never written may hold anything, NaN too.
    return one.shape == other.shape and (one.is_meta or torch.equal(one.nan_to_num(), other.nan_to_num()))


def copied(model: nn.Module) -> nn.Module:
    """A deep copy. Tensors that a graph of gradients led to, which torch refuses to copy, are copied without it."""
    memo: dict[int, object] = {}
    for module in model.modules():
        for value in _tensors(list(vars(module).values())):
            if value.grad_fn is not None:
                memo[id(value)] = value.detach().clone()
    return copy.deepcopy(model, memo)


def _tensors(value: object) -> Iterator[Tensor]:
    """The tensors in containers within containers, as networks keep what they compute once (biases of attention)."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        yield from (tensor for each in value.values() for tensor in _tensors(each))
    elif isinstance(value, list | tuple):
        yield from (tensor for each in value for tensor in _tensors(each))


def _copyable(model: nn.Module) -> nn.Module:
    """The same network; after each pass, weights that torch's old hooks computed hold no graph of gradients.

    `torch.nn.utils.weight_norm` and `spectral_norm` leave their result as an attribute, which nobody could deep-copy.
    """
    for module in model.modules():
        if any(hasattr(hook, "compute_weight") for hook in module._forward_pre_hooks.values()):
            _detach(module)
            module.register_forward_hook(_detach)
    return model


def _detach(module: nn.Module, *_: object) -> None:
    for hook in module._forward_pre_hooks.values():
        name = getattr(hook, "name", None)
        value = getattr(module, name, None) if hasattr(hook, "compute_weight") and name else None
        if isinstance(value, Tensor):
            setattr(module, str(name), value.detach())
