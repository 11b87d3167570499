"""Global selection: one threshold for the whole network, so that layers find their own densities.

Source: Frankle & Carbin 2019, section 4.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from prunebench.api.masks import Mask, Scores, Units


class Global:
    """Keeps the units with the highest scores, whatever their layer."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_select(self, scores: Scores, units: Units, mask: Mask, count: int) -> Mask:
        """The `count` highest of the units alive, after each layer's own floor; ties fall to the lower unit index."""
        from prunebench.api.masks import Mask
        from prunebench.kernels.selection import keep_highest_above_floors

        floors = [layer.floor for layer in units.layers]
        return Mask(keep_highest_above_floors(scores.values, mask.keep, count, floors))


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `global`."""
    yield Component("global", ComponentConfig, Global, version=1, paper="Frankle & Carbin 2019")
