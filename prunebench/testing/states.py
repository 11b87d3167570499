"""What contracts compare: states of models and of the global random generators."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn


@contextmanager
def no_global_randomness() -> Iterator[None]:
    """Fails if the code inside draws from a global random generator."""

    def states() -> dict[str, bytes]:
        _, numbers, position, *rest = np.random.get_state(legacy=True)
        return {
            "torch": torch.get_rng_state().numpy().tobytes(),
            "Python": repr(random.getstate()).encode(),
            "NumPy": np.asarray(numbers).tobytes() + repr((position, rest)).encode(),
        }

    before = states()
    yield
    drawn = [name for name, numbers in states().items() if numbers != before[name]]
    assert not drawn, f"the global generator of {' and '.join(drawn)} was used"


def state(model: nn.Module) -> dict[str, Tensor]:
    """A copy of a model's parameters and buffers."""
    return {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}


def same(a: Mapping[str, Tensor], b: Mapping[str, Tensor]) -> bool:
    """Whether two states are equal to the bit, in names, types and values."""
    return a.keys() == b.keys() and all(a[k].dtype == b[k].dtype and torch.equal(a[k], b[k]) for k in a)
