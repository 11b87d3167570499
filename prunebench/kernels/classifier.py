"""Which parameters are the classifier's: the last layer before the network's outputs.

A network that says so itself is believed: timm's `pretrained_cfg["classifier"]`, then `get_classifier()`. In any other
the graph of gradients is followed back from the outputs, through all that has no weights, to the first products with
weights: whatever it is made of, a linear layer, a convolution or a bare parameter. Of several, as of an auxiliary head
that is there in training alone, those with as many outputs as there are classes count. A network that cannot be run on
the example has the last of its layers with as many outputs as classes, or else its last linear layer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from prunebench.kernels.identity import canonical_names
from prunebench.kernels.networks import copied, seeded

_PRODUCTS = re.compile(r"(mm|mv|Linear|Convolution|Trilinear|Dot)Backward", re.IGNORECASE)
"""Nodes of torch's graph that multiply with weights: addmm, baddbmm, convolution, bilinear, ..."""
BATCH = 2
"""Examples that are followed: batch norm in training refuses one alone."""


@dataclass(frozen=True)
class Classifier:
    """The classifier's parameters, by their first names, and how they were found."""

    names: frozenset[str]
    how: str


def classifier_of(model: nn.Module, example: Tensor | None = None, classes: int = 0) -> Classifier:
    """The classifier of a network.

    Args:
        model: it is neither run nor changed, and may be on the meta device.
        example: a batch of one as the network takes it; without it the network is not followed.
        classes: how many outputs it has; 0 if they are no classes.
    """
    found = _stated(model)
    if found is not None:
        return found
    if example is not None:
        last = _last_products(model, example)
        fitting = [names for names in last if any(classes in model.get_parameter(name).shape for name in names)]
        names = frozenset(name for group in fitting or last for name in group)
        if names:
            return Classifier(names, "its outputs are the network's")
    layers = [module for module in model.modules() if isinstance(module, _ConvNd | nn.Linear)]
    wide = [module for module in layers if classes and _outputs(module) == classes]
    last_linear = [module for module in layers if isinstance(module, nn.Linear)]
    if wide:
        return Classifier(_parameters(model, wide[-1:]), "the last layer with an output for each class")
    return Classifier(_parameters(model, last_linear[-1:]), "the last linear layer")


def _stated(model: nn.Module) -> Classifier | None:
    """What the network says itself, if that is a layer with parameters."""
    config = getattr(model, "pretrained_cfg", None)
    named = config.get("classifier") if isinstance(config, Mapping) else getattr(config, "classifier", None)
    modules = []
    for name in [named] if isinstance(named, str) else named if isinstance(named, tuple | list) else []:
        try:
            modules.append(model.get_submodule(name))
        except (AttributeError, TypeError):
            modules = []  # a part of it is gone: the network was built in another way than published
            break
    if names := _parameters(model, modules):
        return Classifier(names, "timm's pretrained_cfg")
    if callable(get := getattr(model, "get_classifier", None)):
        try:
            answer = get()
        except Exception:  # a stranger's method of the same name
            return None
        # Distilled networks have two heads.
        several = answer if isinstance(answer, tuple | list) else [answer]
        if names := _parameters(model, [module for module in several if isinstance(module, nn.Module)]):
            return Classifier(names, "get_classifier()")
    return None


def _parameters(model: nn.Module, modules: Sequence[nn.Module]) -> frozenset[str]:
    theirs = {id(p) for module in modules for p in module.parameters()}
    return frozenset(name for name, p in model.named_parameters() if id(p) in theirs)


def _outputs(layer: nn.Module) -> int:
    assert isinstance(layer, _ConvNd | nn.Linear)
    return layer.out_features if isinstance(layer, nn.Linear) else layer.out_channels


def _last_products(model: nn.Module, example: Tensor) -> list[frozenset[str]]:
    """The first names of what takes part in each of the last products before the outputs, in evaluation or training."""
    names = canonical_names(model)
    for device in ("meta", "cpu"):  # a pass that looks at values, as to choose between branches, needs values
        found: dict[frozenset[str], None] = {}
        for training in (False, True):
            try:
                groups = list(_followed(model, example, device, training))
            except Exception:  # whatever a foreign network raises: it cannot be followed this way
                continue
            found |= dict.fromkeys(frozenset(names[name] for name in group) for group in groups)
        if found:
            return list(found)
    return []


def _followed(model: nn.Module, example: Tensor, device: str, training: bool) -> Iterator[frozenset[str]]:
    twin = copied(model)
    on_meta = any(tensor.is_meta for tensor in (*twin.parameters(), *twin.buffers()))
    twin = twin.to_empty(device=device) if on_meta else twin.to(device)
    for parameter in twin.parameters():
        if parameter.is_floating_point():
            parameter.requires_grad_(True)
    inputs = torch.cat([example.detach()] * BATCH).to(device)
    inputs.requires_grad_(inputs.is_floating_point())  # of others, an embedding is where the graph begins
    with seeded(0), torch.enable_grad():
        outputs = twin.train(training)(inputs)
    of = {id(parameter): name for name, parameter in twin.named_parameters(remove_duplicate=False)}
    graph = _Graph(inputs)
    for output in _tensors(outputs):
        for leaves in graph.last_products(output.grad_fn):
            yield frozenset(of[id(leaf)] for leaf in leaves if id(leaf) in of)


def _tensors(outputs: Any) -> Iterator[Tensor]:
    """All tensors in what a network returns."""
    if isinstance(outputs, Tensor):
        yield outputs
    elif isinstance(outputs, Mapping):
        yield from (tensor for value in outputs.values() for tensor in _tensors(value))
    elif isinstance(outputs, tuple | list):
        yield from (tensor for value in outputs for tensor in _tensors(value))


class _Graph:
    """Torch's graph of gradients of a pass on `inputs`."""

    def __init__(self, inputs: Tensor) -> None:
        self._inputs = inputs
        self._carries: dict[Any, bool] = {}

    def last_products(self, end: Any) -> Iterator[list[Tensor]]:
        """Going back from a node, the parameters that enter the first products with any on each way."""
        seen, waiting = set(), [end]
        while waiting:
            node = waiting.pop()
            if node is None or node in seen:
                continue
            seen.add(node)
            nexts = [child for child, _ in node.next_functions if child is not None]
            weights = [leaf for child in nexts if not self._carries_data(child) for leaf in self._leaves(child)]
            if _PRODUCTS.search(node.name()) and any(leaf.ndim > 1 for leaf in weights):
                yield weights
            else:
                waiting += [child for child in nexts if self._carries_data(child)]

    def _carries_data(self, start: Any) -> bool:
        """Whether what a node gives depends on the inputs; without recursion, since networks are deep."""
        stack = [start]
        while stack:
            node = stack[-1]
            if node in self._carries:
                stack.pop()
                continue
            children = [child for child, _ in node.next_functions if child is not None]
            unknown = [child for child in children if child not in self._carries]
            if unknown:
                stack += unknown
                continue
            own = getattr(node, "variable", None) is self._inputs or node.name().startswith("Embedding")
            self._carries[node] = own or any(self._carries[child] for child in children)
            stack.pop()
        return self._carries[start]

    @staticmethod
    def _leaves(start: Any) -> list[Tensor]:
        """The parameters that a node depends on."""
        found, seen, waiting = [], set(), [start]
        while waiting:
            node = waiting.pop()
            if node in seen:
                continue
            seen.add(node)
            if isinstance(leaf := getattr(node, "variable", None), Tensor):
                found.append(leaf)
            waiting += [child for child, _ in node.next_functions if child is not None]
        return found
