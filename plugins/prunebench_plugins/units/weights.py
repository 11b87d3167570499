"""Single weights: one unit per weight of the prunable layers.

By default all convolutions and all linear layers but the classifier. The papers' own choices are options: Frankle &
Carbin 2019 cut LeNet's classifier too and left out the projection shortcuts of ResNet; others prune convolutions only.
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from prunebench import Component, ComponentConfig, PlanError, hookimpl
from prunebench.api.errors import nearest

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.masks import Units


class WeightsConfig(ComponentConfig):
    """Which weights may be pruned.

    `kinds` and `classifier` say which layers are candidates; `include` keeps only the candidates that match one of
    its patterns (all, if empty), then `exclude` takes some out. Patterns are those of shells, on names such as
    "fc1.weight".
    """

    classifier: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    kinds: tuple[Literal["conv", "linear"], ...] = ("conv", "linear")


class Weights:
    """One unit per weight."""

    def __init__(self, config: WeightsConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_units(self, model: nn.Module) -> Units:
        """One unit per weight of the layers that the configuration names.

        Raises:
            PlanError: a pattern matches no candidate, or nothing is left to prune.
        """
        from prunebench.kernels.weight_units import WeightUnits, classifier_weights, layer_weights

        config = self._config
        candidates = {name: kind for name, kind in layer_weights(model).items() if kind in config.kinds}
        if not config.classifier:
            spared = classifier_weights(model)
            candidates = {name: kind for name, kind in candidates.items() if name not in spared}
        for field, patterns in (("include", config.include), ("exclude", config.exclude)):
            for pattern in patterns:
                if not any(fnmatchcase(name, pattern) for name in candidates):
                    hint = "" if config.classifier else " (the classifier is one only with `classifier = true`)"
                    raise PlanError(
                        f'weights: {field}: "{pattern}" matches no prunable layer{hint}.{nearest(pattern, candidates)}'
                    )
        chosen = {
            name: kind
            for name, kind in candidates.items()
            if (not config.include or any(fnmatchcase(name, pattern) for pattern in config.include))
            and not any(fnmatchcase(name, pattern) for pattern in config.exclude)
        }
        if not chosen:
            raise PlanError("weights: no layer is left to prune; see `kinds`, `classifier`, `include` and `exclude`")
        return WeightUnits(model, chosen)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `weights`."""
    yield Component("weights", WeightsConfig, Weights, version=1, paper="Han et al. 2015")
