"""Single weights: one unit per weight of the prunable layers.

By default all convolutions and all linear layers but the classifier. The papers' own choices are options: Frankle &
Carbin 2019 cut LeNet's classifier too and left out the projection shortcuts of ResNet; others prune convolutions only.
What is no unit stays dense, and `excluded` says why. A weight whose zeros would not be zeros where it is used, as under
weight norm, is refused by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Literal

from prunebench import CannotTakePart, Component, ComponentConfig, PlanError, hookimpl
from prunebench.api.errors import nearest

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.info import DataInfo
    from prunebench.api.masks import Units
    from prunebench.kernels.parameter_kinds import Kind

Weight = Literal["conv", "linear", "recurrent", "bilinear", "attention", "embedding", "other"]
HOW = (
    "leave them out with `exclude`, fold what computes them into the weight "
    "(torch.nn.utils.parametrize.remove_parametrizations), or use a layer that takes its weight as it is"
)


class WeightsConfig(ComponentConfig):
    """Which weights may be pruned.

    `kinds` and `classifier` say which parameters are candidates: the weights of convolutions and linear layers; and, if
    named, of recurrent and bilinear layers, of multi-head attention (its input projections: the output projection is a
    linear layer), of embeddings, and other matrices that no known layer owns. `include` keeps only the candidates that
    match one of its patterns (all, if empty); a pattern that matches none reaches any other parameter of floating-point
    numbers, the classifier's only with `classifier = true`. Then `exclude` takes some out. Patterns are those of
    shells, on names such as "fc1.weight".
    """

    classifier: bool = False
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    kinds: tuple[Weight, ...] = ("conv", "linear")


class Weights:
    """One unit per weight."""

    def __init__(self, config: WeightsConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_units(self, model: nn.Module, data_info: DataInfo, example: Tensor) -> Units:
        """One unit per weight of the layers that the configuration names.

        Raises:
            CannotTakePart: nothing is left to prune, or a weight cannot be pruned through its parameter (its name and
                the reason are named).
            PlanError: a pattern matches no parameter.
        """
        from prunebench.kernels.classifier import classifier_of
        from prunebench.kernels.identity import aliases
        from prunebench.kernels.parameter_kinds import parameter_kinds
        from prunebench.kernels.weight_units import WeightUnits

        config, kinds = self._config, parameter_kinds(model)
        classifier = classifier_of(model, example, data_info.classes)
        spared = frozenset() if config.classifier else classifier.names
        reach = _Reach({name: kind for name, kind in kinds.items() if name not in spared}, aliases(model), config)
        candidates = reach.candidates()
        included = candidates if not config.include else reach.matching("include", config.include, candidates)
        excluded = reach.matching("exclude", config.exclude, candidates | included)
        chosen = {name: kind for name, kind in included.items() if name not in excluded}
        if refused := {name: kind.refused for name, kind in chosen.items() if kind.refused is not None}:
            why = "".join(f"\n    {name}: {reason}" for name, reason in refused.items())
            raise CannotTakePart(f"weights: some cannot be pruned: {HOW}{why}")
        if not chosen:
            raise PlanError("weights: no layer is left to prune; see `kinds`, `classifier`, `include` and `exclude`")
        reasons = {name: _reason(name, kind, spared, excluded, candidates) for name, kind in kinds.items()}
        return WeightUnits(
            model,
            {name: kind.kind for name, kind in chosen.items()},
            {name: kind.floor for name, kind in chosen.items()},
            {name: reason.format(how=classifier.how) for name, reason in reasons.items() if name not in chosen},
        )


class _Reach:
    """The parameters that a configuration can reach, and the names under which it does."""

    def __init__(self, kinds: Mapping[str, Kind], further: Mapping[str, str], config: WeightsConfig) -> None:
        self._kinds, self._config = kinds, config
        self._names = {name: [name] for name in kinds}
        for name, first in further.items():
            if first in self._names:
                self._names[first].append(name)

    def candidates(self) -> dict[str, Kind]:
        """Those of the kinds that are asked for."""
        return {name: kind for name, kind in self._kinds.items() if kind.kind in self._config.kinds}

    def matching(self, field: str, patterns: Iterable[str], among: Mapping[str, Kind]) -> dict[str, Kind]:
        """Those of `among` that match a pattern; for one that matches none and is to include, those of any kind.

        Raises:
            PlanError: a pattern matches nothing.
        """
        found: set[str] = set()
        for pattern in patterns:
            matched = self._matching(pattern, among)
            if not matched and field == "include":
                matched = self._matching(pattern, self._kinds)
            if not matched:
                hint = "" if self._config.classifier else " (the classifier is one only with `classifier = true`)"
                raise PlanError(
                    f'weights: {field}: "{pattern}" matches no prunable layer{hint}.{nearest(pattern, among)}'
                )
            found |= matched
        return {name: kind for name, kind in self._kinds.items() if name in found}

    def _matching(self, pattern: str, among: Iterable[str]) -> set[str]:
        return {name for name in among if any(fnmatchcase(each, pattern) for each in self._names[name])}


def _reason(
    name: str, kind: Kind, spared: frozenset[str], excluded: Mapping[str, Kind], candidates: Mapping[str, Kind]
) -> str:
    """Why a parameter is no unit, if it is none; `{how}` stands for how the classifier was found."""
    from prunebench.kernels.parameter_kinds import FURTHER

    if name in spared:
        return "the classifier ({how})"
    if name in excluded:
        return "left out by `exclude`"
    if name in candidates:
        return "not in `include`"
    return FURTHER.get(kind.kind, f"of the kind {kind.kind}, which is not in `kinds`")


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `weights`."""
    yield Component("weights", WeightsConfig, Weights, version=1, paper="Han et al. 2015")
