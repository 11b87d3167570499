"""Units that are single weights, and the weights of a network by the kind of their layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from prunebench.api.info import Layer
from prunebench.api.masks import Mask, Scores, Units
from prunebench.kernels.classifier import classifier_of
from prunebench.kernels.computed_weights import effective
from prunebench.kernels.networks import copied
from prunebench.kernels.parameter_kinds import parameter_kinds, prunable


class WeightUnits(Units):
    """One unit per element of some of a model's parameters, in row-major order.

    Where a layer's weight is computed from the parameter (spectral norm), scores are of the weight that the layer uses;
    a unit that is removed is a zero in both.

    Args:
        model: the network; it may be on the meta device. Weights are read when they are scored.
        parameters: first names of its parameters, each with the kind of its layer, in order.
        floors: how many units of a parameter always stay; 0 for those that are not named.
        excluded: names of parameters that are no units, with the reasons.
    """

    def __init__(
        self,
        model: nn.Module,
        parameters: Mapping[str, str],
        floors: Mapping[str, int] | None = None,
        excluded: Mapping[str, str] | None = None,
    ) -> None:
        self._model = model
        self._shapes = {name: model.get_parameter(name).shape for name in parameters}
        computed = effective(model)
        self._computed = {name: computed[name] for name in parameters if name in computed}
        self.excluded = dict(excluded or {})
        layers = []
        start = 0
        for name, kind in parameters.items():
            count = self._shapes[name].numel()
            floor = min((floors or {}).get(name, 0), count)
            layers.append(Layer(name, start, count, kind, floor, tuple(self._shapes[name])))
            start += count
        self.layers = tuple(layers)

    def reduce(self, score: Callable[[str, Tensor], Tensor]) -> Scores:
        """See Units.reduce; a unit's score is that of its weight."""
        return Scores(tuple(score(name, self._weight(name)).reshape(n.numel()) for name, n in self._shapes.items()))

    def _weight(self, name: str) -> Tensor:
        if name in self._computed:
            return self._computed[name]()
        return self._model.get_parameter(name).detach()

    def expand(self, mask: Mask) -> Mapping[str, Tensor]:
        """See Units.expand."""
        return {name: keep.view(shape) for (name, shape), keep in zip(self._shapes.items(), mask.keep, strict=True)}

    def shrink(self, model: nn.Module, mask: Mask) -> nn.Module:
        """See Units.shrink: a masked copy."""
        return masked_copy(model, self.expand(mask))


def masked_copy(model: nn.Module, keep: Mapping[str, Tensor]) -> nn.Module:
    """A copy of a network, zero where a mask by parameter name says so."""
    small = copied(model)
    with torch.no_grad():
        for name, parameter in small.named_parameters():
            if name in keep:
                parameter.masked_fill_(~keep[name].to(parameter.device), 0.0)
    return small


def layer_weights(model: nn.Module) -> dict[str, str]:
    """The kind ("conv" or "linear") of each convolution's and linear layer's weight, by parameter name, in order.

    A weight that two layers share appears once, under its first name; one that cannot be pruned does not appear.
    """
    return prunable(parameter_kinds(model), "conv", "linear")


def classifier_weights(model: nn.Module, example: Tensor | None = None, classes: int = 0) -> frozenset[str]:
    """Names of the parameters of the classifier; see `classifier_of`."""
    return classifier_of(model, example, classes).names
