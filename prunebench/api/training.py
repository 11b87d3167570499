"""What plugins add to the training step: terms of the objective, changes of the mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.masks import Mask


@dataclass(frozen=True)
class LossTerm:
    """A term of the objective: added to the loss, a closed-form gradient added after backward, or a proximal step.

    Args:
        loss: (inputs, outputs, targets) -> scalar tensor, differentiated with the objective: what the network
            took, what it gave and what it was to give, as the task's objective gets them.
        gradient: adds its gradient to the parameters' `.grad` in place, after backward, before masking.
        proximal: changes the parameters in place after the optimizer's step, given that step's learning rate; what is
            0 must stay 0.
    """

    loss: Callable[[Tensor, Tensor, Tensor], Tensor] | None = None
    gradient: Callable[[], None] | None = None
    proximal: Callable[[float], None] | None = None


@dataclass(frozen=True)
class MaskUpdate:
    """A rule that changes the mask while training.

    Args:
        due: whether the rule acts after the backward pass of iteration `step`.
        update: (step, mask, gradients by parameter name, unmasked) -> the new mask.
    """

    due: Callable[[int], bool]
    update: Callable[[int, Mask, Mapping[str, Tensor]], Mask]
