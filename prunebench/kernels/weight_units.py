"""Units that are single weights, and the weights of a network by the kind of their layer."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from prunebench.api.info import Layer
from prunebench.api.masks import Mask, Scores, Units


class WeightUnits(Units):
    """One unit per element of some of a model's parameters, in row-major order.

    Args:
        model: the network; it may be on the meta device. Weights are read when they are scored.
        parameters: names of its parameters, each with the kind of its layer ("conv" or "linear"), in order.
    """

    def __init__(self, model: nn.Module, parameters: Mapping[str, str]) -> None:
        self._model = model
        self._shapes = {name: model.get_parameter(name).shape for name in parameters}
        layers = []
        start = 0
        for name, kind in parameters.items():
            layers.append(Layer(name, start, self._shapes[name].numel(), kind))
            start += layers[-1].count
        self.layers = tuple(layers)

    def reduce(self, score: Callable[[str, Tensor], Tensor]) -> Scores:
        """See Units.reduce; a unit's score is that of its weight."""
        return Scores(
            tuple(
                score(name, self._model.get_parameter(name).detach()).reshape(shape.numel())
                for name, shape in self._shapes.items()
            )
        )

    def expand(self, mask: Mask) -> Mapping[str, Tensor]:
        """See Units.expand."""
        return {name: keep.view(shape) for (name, shape), keep in zip(self._shapes.items(), mask.keep, strict=True)}


def layer_weights(model: nn.Module) -> dict[str, str]:
    """The kind ("conv" or "linear") of each convolution's and linear layer's weight, by parameter name, in order.

    A weight that two layers share appears once, under its first name.
    """
    named = {name for name, _ in model.named_parameters()}
    kinds = {}
    for prefix, module in model.named_modules():
        name = f"{prefix}.weight" if prefix else "weight"
        if name in named and isinstance(module, _ConvNd | nn.Linear):
            kinds[name] = "linear" if isinstance(module, nn.Linear) else "conv"
    return kinds


def classifier_weights(model: nn.Module) -> frozenset[str]:
    """Names of the parameters of the classifier: timm's `get_classifier()`, else the last linear layer."""
    modules: Sequence[object]
    if callable(get := getattr(model, "get_classifier", None)):
        found = get()
        # Distilled networks have two heads.
        modules = found if isinstance(found, tuple | list) else [found]
    else:
        modules = [module for module in model.modules() if isinstance(module, nn.Linear)][-1:]
    theirs = {id(p) for module in modules if isinstance(module, nn.Module) for p in module.parameters()}
    return frozenset(name for name, p in model.named_parameters() if id(p) in theirs)
