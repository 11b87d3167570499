"""Which channels belong together: all that share a slice of a parameter are one unit.

Each convolution and linear layer is asked for what depends on its outputs. Two answers that own a slice in common (a
residual sum, a group of a grouped convolution) are joined.

Source: Fang et al. 2023 (DepGraph), section 3.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from prunebench.api.masks import Member
from prunebench_plugins.units._attention import heads
from prunebench_plugins.units._search import EndlessSearchError, bounded
from prunebench_plugins.units._slices import Place, Slice, refusal, slices

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Group:
    """Units that are made by one layer: its weight's name, its kind, what they own, or why they are none."""

    name: str
    kind: str
    count: int
    members: tuple[Member, ...]
    reason: str | None = None


@dataclass
class _Coupling:
    """Channels (producer, index) in sets that grow together, and the slices that each owns."""

    parent: dict[tuple[int, int], tuple[int, int]] = field(default_factory=dict)
    owner: dict[Slice, tuple[int, int]] = field(default_factory=dict)
    refused: dict[tuple[int, int], str] = field(default_factory=dict)

    def find(self, channel: tuple[int, int]) -> tuple[int, int]:
        while self.parent.setdefault(channel, channel) != channel:
            self.parent[channel] = self.parent[self.parent[channel]]
            channel = self.parent[channel]
        return channel

    def own(self, channel: tuple[int, int], owned: Slice) -> None:
        a, b = self.find(channel), self.find(self.owner.setdefault(owned, channel))
        # The lesser is the name of both: the first producer in the order of the network.
        self.parent[max(a, b)] = min(a, b)


@dataclass(frozen=True)
class _Traced:
    """A network and its graph, with the names of its parts."""

    network: nn.Module
    graph: Any
    classifier: frozenset[str]
    names: Mapping[int, str]
    shapes: Mapping[str, Sequence[int]]

    def dependent(self, root: nn.Module, size: int) -> Any:
        """What depends on the outputs of a layer.

        Raises:
            EndlessSearchError: the search did not end within its steps.
        """
        pruner = self.graph.get_pruner_of_module(root)
        with bounded(self.graph):
            return self.graph.get_pruning_group(root, pruner.prune_out_channels, list(range(size)))

    def owned(self, item: Any) -> list[list[Slice]]:
        """For each index of an item of a dependency group, the slices that are cut; none in what has no parameters."""
        module = item.dep.target.module
        if isinstance(module, nn.Parameter):
            return [[((self.names[id(module)], item.dep.target.pruning_dim, "bias"), index)] for index in item.idxs]
        if id(module) not in self.names:
            return [[] for _ in item.idxs]
        out = self.graph.is_out_channel_pruning_fn(item.dep.handler)
        return [list(slices(self.names[id(module)], module, index, out=out)) for index in item.idxs]

    def refusal(self, item: Any) -> str | None:
        """Why an item cannot be cut, if it cannot."""
        target = item.dep.target
        if target.type == self.graph.ops.OPTYPE.OUTPUT:
            return "they are the network's outputs"
        if isinstance(target.module, nn.Parameter) or id(target.module) not in self.names:
            return None
        name = self.names[id(target.module)]
        if isinstance(target.module, _ConvNd | nn.Linear) and "weight" not in target.module._parameters:
            return f"{name} computes its weight from other parameters"
        return refusal(name, target.module)

    def misfit(self, owned: Sequence[Sequence[Slice]]) -> str | None:
        """Why what an item owns cannot be units, if it cannot."""
        for (name, dim, role), index in (one for of_channel in owned for one in of_channel):
            if role == "group":
                continue
            if role == "out" and name in self.classifier:
                return "they are the classifier's outputs"
            if name not in self.shapes:
                return f"{name} is the very parameter of another module too"
            if not 0 <= index < self.shapes[name][dim]:
                return f"{name} has another number of channels: they are padded, shuffled or reshaped"
        return None


def groups(network: nn.Module, graph: Any, classifier: frozenset[str]) -> list[Group]:
    """All groups of coupled channels, in the order of their first producers, and those that cannot be pruned.

    Args:
        network: a twin of the network.
        graph: its DependencyGraph.
        classifier: names of the classifier's parameters.
    """
    parameters = list(network.named_parameters())
    names = {id(module): name for name, module in network.named_modules()}
    traced = _Traced(
        network,
        graph,
        classifier,
        names | {id(parameter): name for name, parameter in parameters},
        {name: parameter.shape for name, parameter in parameters},
    )
    found = _Coupling()
    attention = heads(network)
    producers: list[tuple[str, nn.Module]] = []
    by_order: dict[int, Group] = {}
    for name, module in network.named_modules():
        if module not in graph.module2node or not isinstance(module, _ConvNd | nn.Linear):
            continue
        order = len(producers)
        producers.append((name, module))
        weight = f"{name}.weight" if name else "weight"
        if name in attention:
            owned = attention[name]
            reason = _refused_heads(traced, module, owned)
            by_order[order] = Group(weight, "heads", owned[0].indices.shape[0], tuple(owned), reason)
        elif any(((weight, 0, "out"), index) not in found.owner for index in range(_size(module))):
            _couple(found, traced, order, module)
    positions = {name: at for at, (name, _) in enumerate(parameters)}
    by_order |= _collect(found, producers, positions)
    return [by_order[order] for order in sorted(by_order)]


def _size(module: nn.Module) -> int:
    assert isinstance(module, _ConvNd | nn.Linear)
    return module.out_features if isinstance(module, nn.Linear) else module.out_channels


def _couple(found: _Coupling, traced: _Traced, order: int, root: nn.Module) -> None:
    """Join the outputs of one layer with all that depends on them."""
    try:
        items = traced.dependent(root, _size(root))
    except EndlessSearchError:
        name = traced.names[id(root)]
        for index in range(_size(root)):
            # Whoever has to do with these channels is refused with them.
            found.own((order, index), ((f"{name}.weight", 0, "out"), index))
            found.refused.setdefault(
                (order, index), f"{name}: the search for what depends on its channels does not end"
            )
        return
    for item in items:
        reason = traced.refusal(item)
        owned = traced.owned(item) if reason is None else [[] for _ in item.idxs]
        reason = reason or traced.misfit(owned)
        for index, of_channel in zip(item.root_idxs, owned, strict=True):
            if reason is not None:
                found.refused.setdefault((order, index), reason)
            for one in of_channel:
                found.own((order, index), one)


def _endless(name: str) -> str:
    return f"{name}: the search for what depends on its channels does not end"


def _refused_heads(traced: _Traced, qkv: nn.Module, owned: Sequence[Member]) -> str | None:
    """Why heads are no units: another layer than the known ones has to do with them."""
    known = {member.parameter for member in owned}
    try:
        items = traced.dependent(qkv, _size(qkv))
    except EndlessSearchError:
        return _endless(traced.names[id(qkv)])
    for item in items:
        module = item.dep.target.module
        if isinstance(module, nn.Linear | _ConvNd) and f"{traced.names[id(module)]}.weight" not in known:
            return f"{traced.names[id(module)]} has to do with them too"
    return None


def _collect(
    found: _Coupling, producers: Sequence[tuple[str, nn.Module]], positions: Mapping[str, int]
) -> Mapping[int, Group]:
    owned: dict[tuple[int, int], dict[Place, list[int]]] = {}
    for (place, index), channel in found.owner.items():
        if place[2] != "group":
            owned.setdefault(found.find(channel), {}).setdefault(place, []).append(index)
    reasons: dict[int, str] = {}
    for channel, reason in found.refused.items():
        reasons.setdefault(found.find(channel)[0], reason)
    made: dict[int, Group] = {}
    by_producer: dict[int, list[tuple[int, int]]] = {}
    for channel in sorted(owned):
        by_producer.setdefault(channel[0], []).append(channel)
    for order, units in by_producer.items():
        name, module = producers[order]
        shapes = Counter(tuple(sorted((place, len(at)) for place, at in owned[unit].items())) for unit in units)
        reason_ = reasons.get(order)
        if reason_ is None and len(shapes) > 1:
            reason_ = "some of them go other ways than the rest"
        members: tuple[Member, ...] = ()
        if reason_ is None:
            members = tuple(
                Member(place[0], place[1], _table([owned[unit][place] for unit in units]), place[2])  # type: ignore[arg-type]
                for place in sorted(owned[units[0]], key=lambda place: (positions[place[0]], place[1]))
            )
        kind = "linear" if isinstance(module, nn.Linear) else "conv"
        made[order] = Group(f"{name}.weight" if name else "weight", kind, len(units), members, reason_)
    return made


def _table(rows: Sequence[Sequence[int]]) -> Tensor:
    return torch.tensor([sorted(row) for row in rows], dtype=torch.int64, device="cpu")
