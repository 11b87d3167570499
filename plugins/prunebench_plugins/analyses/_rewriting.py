"""The same network, faster to evaluate: norms folded into layers, rectifiers and sums in place, channels last.

All of it keeps the outputs but for rounding. Folding scales each output channel, so a weight is zero in the folded
network exactly where it is in the other: what is set to zero may be set to zero after folding.
"""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval, fuse_linear_bn_eval

from prunebench.kernels.networks import copied

CLOSE = 1e-3
"""How far, beside the largest output, the outputs may move; rounding moves them by a thousandth of that."""

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)
_LAYERS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear)
_RECTIFIERS = (torch.relu, nn.functional.relu)
_SUMS = (operator.add, torch.add)


def rewritten(model: nn.Module, needed: Collection[str], example: Tensor) -> nn.Module:
    """A copy of a network in evaluation mode that is faster to evaluate; a plain copy where that cannot be had.

    Args:
        needed: names of parameters that the copy must have.
        example: images on which both must agree.
    """
    plain = copied(model).eval()
    try:
        graph = fx.symbolic_trace(copied(plain))
    except Exception:  # tracing runs the network's own code on stand-ins, which may raise anything
        return plain
    _fold(graph)
    _in_place(graph)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    if has_images(graph):
        graph = graph.to(memory_format=torch.channels_last)
    if not set(needed) <= {name for name, _ in graph.named_parameters()}:
        return plain
    with torch.inference_mode():
        try:
            before, after = plain(example), graph(example)
        except Exception:  # a sum in place that needs a larger tensor, say
            return plain
        agree = float((before - after).abs().max()) <= CLOSE * max(1.0, float(before.abs().max()))
    return graph if agree else plain


def has_images(network: nn.Module) -> bool:
    """Whether some layer gains from channels that lie together."""
    return any(isinstance(module, nn.Conv2d) for module in network.modules())


def _fold(graph: fx.GraphModule) -> None:
    """Scale and shift of each norm into the layer before it, where nothing else reads or shares that layer."""
    calls = Counter(str(node.target) for node in graph.graph.nodes if node.op == "call_module")
    owners = Counter(
        id(parameter) for target in calls for parameter in graph.get_submodule(target).parameters(recurse=False)
    )
    for node in list(graph.graph.nodes):
        norm, source = _module(graph, node), node.args[0] if node.args else None
        if type(norm) not in _NORMS or not isinstance(source, fx.Node) or norm is None or norm.running_mean is None:
            continue
        layer = _module(graph, source)
        if type(layer) not in _LAYERS or layer is None or len(source.users) > 1 or calls[str(source.target)] > 1:
            continue
        if any(owners[id(parameter)] > 1 for parameter in layer.parameters()):
            continue
        fuse: Any = fuse_linear_bn_eval if isinstance(layer, nn.Linear) else fuse_conv_bn_eval
        graph.set_submodule(str(source.target), fuse(layer, norm))
        node.replace_all_uses_with(source)
        graph.graph.erase_node(node)


def _in_place(graph: fx.GraphModule) -> None:
    """Sums and rectifiers of what nobody else reads, without a tensor of their own."""
    for node in list(graph.graph.nodes):
        if node.op == "call_function" and node.target in _SUMS and not node.kwargs and len(node.args) == 2:
            for one, other in (node.args, node.args[::-1]):
                if _only_read_here(graph, one) and isinstance(other, fx.Node) and one is not other:
                    _replace(graph, node, torch.Tensor.add_, one, other)
                    break
    for node in list(graph.graph.nodes):
        rectifies = (
            (node.op == "call_method" and node.target == "relu")
            or (node.op == "call_function" and node.target in _RECTIFIERS)
            or type(_module(graph, node)) is nn.ReLU
        )
        if rectifies and _only_read_here(graph, node.args[0]):
            _replace(graph, node, torch.relu_, node.args[0])


def _only_read_here(graph: fx.GraphModule, node: object) -> bool:
    """Whether a node makes a tensor of its own that has one reader."""
    if not isinstance(node, fx.Node) or len(node.users) != 1:
        return False
    makes = type(_module(graph, node)) in (*_LAYERS, *_NORMS)
    return makes or (node.op == "call_function" and node.target in (*_SUMS, torch.Tensor.add_))


def _replace(graph: fx.GraphModule, node: fx.Node, function: object, *arguments: object) -> None:
    with graph.graph.inserting_after(node):
        new = graph.graph.call_function(function, arguments)  # type: ignore[arg-type]
    node.replace_all_uses_with(new)
    graph.graph.erase_node(node)


def _module(graph: fx.GraphModule, node: fx.Node) -> nn.Module | None:
    return graph.get_submodule(str(node.target)) if node.op == "call_module" else None
