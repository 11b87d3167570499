"""Weights, masks and the place on the clock from which a network is trained."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.masks import Mask
from prunebench.api.positions import Position

State = Mapping[str, "Tensor"]
"""A model's parameters and buffers by qualified name."""


@dataclass(frozen=True)
class Ticket:
    """A mask, the weights to start from, and a position on the learning-rate clock.

    `mask` is None while nothing has been pruned.
    """

    weights: State
    mask: Mask | None
    start: Position


@dataclass(frozen=True)
class Pruned:
    """What a pruning leaves that chooses the mask and updates the weights together.

    Args:
        weights: the tensors that it changed, by name; every other one stays as it was, and is 0 off the mask.
        notes: what a reader of the results must know of it, such as a layer that had too few examples; short sentences
            without a full stop, which stand on the ticket's rows.
    """

    mask: Mask
    weights: State = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Optimum:
    """A trained point that a component asked for: its weights and the mask it was trained under."""

    weights: State
    mask: Mask | None
    round: int
    label: str = ""


Inputs = Mapping[str, Sequence[Optimum]]
"""What a component's `needs` asked for: trained points by the name it gave them, each read when it is looked at."""
