"""Magnitude scores: the larger a weight, the longer it lives.

Source: Han et al. 2015, section 3; Frankle & Carbin 2019, section 2 (layer-wise) and section 4 (global).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from prunebench import Component, ComponentConfig, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.masks import Scores, Units


class MagnitudeConfig(ComponentConfig):
    """`normalise` makes layers comparable in a global cut: "none" scores |w|, which is the papers' choice.

    "l2" divides by the layer's L2 norm, "mean" by its mean |w|. Both are taken over all weights of the layer as
    they are pruned, dead ones (which are 0) included: the norm does not see them, the mean falls with the density.
    """

    normalise: Literal["none", "l2", "mean"] = "none"


class Magnitude:
    """Scores |w| / scale(layer)."""

    def __init__(self, config: MagnitudeConfig) -> None:
        self._normalise = config.normalise

    @hookimpl
    def prunebench_score(self, units: Units) -> Scores:
        """|w| / scale(layer) for every unit; a layer of zeros scores 0."""
        return units.reduce(self._score)

    def _score(self, name: str, weight: Tensor) -> Tensor:
        magnitude = weight.abs()
        if self._normalise == "none":
            return magnitude
        scale = magnitude.mean() if self._normalise == "mean" else magnitude.norm()
        # 0/0 would be NaN for a layer that lost all its weights.
        return magnitude / scale.clamp_min(scale.new_tensor(1e-30))


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `magnitude`."""
    yield Component("magnitude", MagnitudeConfig, Magnitude, version=1, paper="Han et al. 2015")
