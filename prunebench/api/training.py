"""What plugins add to the training step: terms of the objective, changes of the mask."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.masks import Mask


BatchTransform: TypeAlias = "Callable[[int, Tensor, Tensor], tuple[Tensor, Tensor]]"
"""(step, inputs, targets) -> both as the network is to see them: the whole batch, as the task made it, on its device.

It may change the tensors that it is given. What it draws is of a stream at `step`."""


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
        observe: (step, mask, gradients) -> nothing: after every backward pass, before `update` of the same step. It may
            change `state`, and the gradients where pruned weights are trained.
        state: tensors that `observe` and `update` change in place and read. They are in the run's checkpoints, so
            a resumed run has them; what a rule keeps anywhere else it has not.
        pruned: what becomes of the value of a pruned weight, which no forward pass sees. "zero": it is lost, and a
            weight that comes back starts at 0. "frozen": it stays as it was, and a weight that comes back has it
            again. "trained": the optimizer goes on with it, by the gradient that the pruned network has there
            (straight through the mask). While `observe` and `update` run, the parameters hold these values. Between
            steps a pruned weight is exactly 0, whichever it is.
    """

    due: Callable[[int], bool]
    update: Callable[[int, Mask, Mapping[str, Tensor]], Mask]
    observe: Callable[[int, Mask, Mapping[str, Tensor]], None] | None = None
    state: Mapping[str, Tensor] = field(default_factory=dict)
    pruned: Literal["zero", "frozen", "trained"] = "zero"
