"""The state of an optimizer, taken out of one and given to another."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

Options = Mapping[str, Any]
"""A parameter group's options that JSON can hold."""


def options_of(group: Mapping[str, Any]) -> Options:
    """A parameter group's options that JSON can hold; the learning rate belongs to the schedule."""
    return {k: v for k, v in group.items() if k not in ("params", "lr") and isinstance(v, bool | int | float | str)}


@dataclass(frozen=True)
class OptimizerState:
    """What an optimizer remembers.

    Args:
        tensors: by "PARAMETER/NAME", the parameter as its number in the groups.
        groups: of each group, the options that training changed.
    """

    tensors: Mapping[str, Tensor]
    groups: Sequence[Options]

    @classmethod
    def of(cls, optimizer: Optimizer, built_with: Sequence[Options]) -> OptimizerState:
        """The state as it is. What a recipe configures is left out: one that takes the state over keeps its own.

        Args:
            built_with: the options of each group when the optimizer was built.
        """
        state = optimizer.state_dict()
        tensors: dict[str, Tensor] = {}
        for index, values in state["state"].items():
            for name, value in values.items():
                if isinstance(value, Tensor):
                    tensors[f"{index}/{name}"] = value
                elif value is not None:
                    tensors[f"{index}/{name}"] = torch.tensor(value, dtype=torch.float64)
        groups = [
            {name: value for name, value in options_of(group).items() if name not in before or before[name] != value}
            for group, before in zip(state["param_groups"], built_with, strict=True)
        ]
        return cls(tensors, groups)

    def restore(self, optimizer: Optimizer) -> None:
        """Give it to a fresh optimizer; the learning rate stays the fresh one's."""
        state = optimizer.state_dict()
        restored: dict[int, dict[str, Tensor]] = {}
        for name, value in self.tensors.items():
            index, _, field = name.partition("/")
            restored.setdefault(int(index), {})[field] = value
        fresh = [{**group, **saved} for group, saved in zip(state["param_groups"], self.groups, strict=True)]
        optimizer.load_state_dict({"state": restored, "param_groups": fresh})
        # As the optimizer would have made it: a fused kernel goes through weights and state side by side in memory.
        for parameter, values in optimizer.state.items():
            for name, value in values.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    values[name] = torch.empty_like(parameter, dtype=value.dtype, requires_grad=False).copy_(value)
