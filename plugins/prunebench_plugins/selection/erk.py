"""Erdos-Renyi-kernel selection: small layers keep more than large ones, in proportion to the sum of their dimensions.

A layer of shape (out, in, height, width) keeps a number of weights in proportion to out + in + height + width, so its
density falls with its size. A layer that is full passes on what it cannot keep. Which weights live is the score's
choice within each layer, so that any score can use it: at initialisation with `random`, as SET and RigL start.

Source: Evci et al. 2020 (Rigging the lottery), section 3; Mocanu et al. 2018, equation 1, without kernels.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from prunebench.api.masks import Mask, Scores, Units
    from prunebench.api.planning import Request


class ErkConfig(ComponentConfig):
    """`kernel`: whether a kernel's height and width count (ERK), or the channels alone (Erdos-Renyi)."""

    kernel: bool = True


class Erk:
    """Keeps of each layer in proportion to the sum of its dimensions."""

    def __init__(self, config: ErkConfig) -> None:
        self._kernel = config.kernel

    @hookimpl
    def prunebench_needs(self, request: Request) -> None:
        """Nothing; an error where no single weights are pruned."""
        from prunebench_plugins.scores._weights import refuse_groups

        refuse_groups(request, "erk")

    @hookimpl
    def prunebench_select(self, scores: Scores, units: Units, mask: Mask, count: int) -> Mask:
        """The highest of each layer; fractions go to the largest remainders, ties to the earlier layer or unit."""
        from prunebench.kernels.shares import above_floors, best_of_each, erk_weights, shared

        weights = erk_weights(units.layers, kernel=self._kernel)
        kept = shared(count, weights, mask.counts)
        return best_of_each(scores, mask, above_floors(kept, [layer.floor for layer in units.layers], mask.counts))


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `erk`."""
    yield Component("erk", ErkConfig, Erk, version=1, paper="Evci et al. 2020")
