"""What analyses of single weights share: the weights that a mask keeps, and the run that they come from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.masks import Mask, Units
    from prunebench.api.planning import Chain, Run
    from prunebench.api.tickets import State


def kept_weights(units: Units, mask: Mask | None) -> dict[str, Tensor]:
    """For each weight tensor that the units touch, which of its elements stay; no biases and no norms' scales.

    Raises:
        PlanError: the units touch no weight tensor.
    """
    from prunebench import PlanError
    from prunebench.api.masks import Mask

    kept: Mapping[str, Tensor] = units.expand(Mask.full(units.layers) if mask is None else mask)
    weights = {name: keep for name, keep in kept.items() if keep.ndim > 1}
    if not weights:
        raise PlanError(f"the units touch no layer's weights, only {', '.join(kept)}")
    return weights


def restricted(state: State, mask: Mask | None, units: Units) -> State:
    """What a mask leaves of a state: of a channel that goes, its norm's scale and shift are 0 too."""
    if mask is None:
        return state
    keep = units.expand(mask)
    return {
        name: value.masked_fill(~keep[name].to(value.device), 0) if name in keep else value
        for name, value in state.items()
    }


def dense_run(chain: Chain) -> Run:
    """The find run of the dense network: for most schedules that of their first round, so no further work.

    Raises:
        PlanError: the find recipe trains nothing.
    """
    # Not `chain.find`: a schedule without find runs would have an optimum where an analysis is added.
    return chain.evaluate(chain.dense, chain.recipes.find)
