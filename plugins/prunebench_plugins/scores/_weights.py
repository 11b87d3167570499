"""What scores and prunings of single weights share: which units they can work on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prunebench import PlanError

if TYPE_CHECKING:
    from prunebench.api.planning import Request


def refuse_groups(request: Request, what: str) -> None:
    """A component that looks at single weights has no meaning for groups of them.

    Raises:
        PlanError: the entry prunes channels or other groups.
    """
    if any(not layer.shape for layer in request.chain.model.layers):
        raise PlanError(f'{what}: it works on single weights, and not on channels; write units = "weights"')


def refuse_other_layers(request: Request, what: str) -> None:
    """A component that looks at what a layer reads works on convolutions and linear layers alone.

    Raises:
        PlanError: the entry prunes groups, or weights of another kind of layer, which is named.
    """
    refuse_groups(request, what)
    for layer in request.chain.model.layers:
        if layer.kind not in ("conv", "linear"):
            raise PlanError(
                f'{what}: "{layer.name}" is of a layer of the kind "{layer.kind}", and it works on convolutions and '
                'linear layers; leave it out: units = { use = "weights", kinds = ["conv", "linear"] }'
            )
