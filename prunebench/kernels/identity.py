"""One name for each tensor of a network: the first under which it is found, in the order of the network.

Two layers may share a weight, and a module may be reached by two names. Then torch's states hold the same tensor twice,
whoever changes one of the two copies changes nothing where the other is loaded later, and sums over a state count the
tensor twice. `one_name_each` cures the states of a network; the functions below it do so with states that come from
elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from prunebench.api.errors import CannotTakePart

Value = TypeVar("Value")


def canonical_names(model: nn.Module) -> dict[str, str]:
    """The first name of each parameter and buffer, by each of its names, the first one included."""
    first: dict[int, str] = {}
    return {name: first.setdefault(id(tensor), name) for name, tensor in _named(model)}


def aliases(model: nn.Module) -> dict[str, str]:
    """The first name by each further name; empty for most networks."""
    return {name: first for name, first in canonical_names(model).items() if name != first}


def dealias(state: Mapping[str, Value], names: Mapping[str, str]) -> dict[str, Value]:
    """A state with first names alone, in the state's order.

    A tensor that has only a further name in the state, as in the files of safetensors' `save_model`, gets its first.

    Args:
        names: see `canonical_names`; a name that it lacks stays.
    """
    found: dict[str, Value] = {}
    for name, value in state.items():
        first = names.get(name, name)
        if first == name or first not in state:
            found.setdefault(first, value)
    return found


def realias(state: Mapping[str, Value], names: Mapping[str, str]) -> dict[str, Value]:
    """A state with every name, as torch writes it; further names have the value of the first."""
    once = dealias(state, names)
    further = {name: once[first] for name, first in names.items() if name != first and first in once}
    return {**once, **further}


def one_name_each(model: nn.Module) -> nn.Module:
    """The same network; its `state_dict()` has first names alone, and `load_state_dict` takes such states.

    A state with further names is taken too, whose values are those of the first names. Copies of the network do the
    same.

    Raises:
        CannotTakePart: two parameters are no one tensor and share memory: what one holds depends on the other.
    """
    _refuse_overlaps(model)
    further = {name: first for name, first in aliases(model).items() if name in model.state_dict(keep_vars=True)}
    if further:
        model.register_state_dict_post_hook(_Dealias(further))  # type: ignore[no-untyped-call]
        model.register_load_state_dict_pre_hook(_Realias(further))  # type: ignore[no-untyped-call]
    return model


def retied(model: nn.Module, names: Mapping[str, str]) -> nn.Module:
    """The same network, every parameter and buffer again one tensor under all of its names.

    Some of torch's own functions, such as `to_empty`, make a tensor for each name.
    """
    for name, first in names.items():
        if name == first:
            continue
        (place, _, own), (other, _, its) = name.rpartition("."), first.rpartition(".")
        module, source = model.get_submodule(place), model.get_submodule(other)
        if own in module._parameters:
            module._parameters[own] = source._parameters[its]
        else:
            module._buffers[own] = source._buffers[its]
    return model


class _Dealias:
    """Takes further names out of a state that is being made."""

    def __init__(self, further: Mapping[str, str]) -> None:
        self._further = dict(further)

    def __call__(self, module: nn.Module, state: MutableMapping[str, Any], prefix: str, metadata: object) -> None:
        for name in self._further:
            state.pop(prefix + name, None)


class _Realias:
    """Puts further names into a state that is being loaded."""

    def __init__(self, further: Mapping[str, str]) -> None:
        self._further = dict(further)

    def __call__(self, module: nn.Module, state: MutableMapping[str, Any], prefix: str, *rest: object) -> None:
        for name, first in self._further.items():
            if prefix + first in state:
                state[prefix + name] = state[prefix + first]
            elif prefix + name in state:
                state[prefix + first] = state[prefix + name]


def _named(model: nn.Module) -> list[tuple[str, Tensor]]:
    return [*model.named_parameters(remove_duplicate=False), *model.named_buffers(remove_duplicate=False)]


def _refuse_overlaps(model: nn.Module) -> None:
    spans: dict[int, list[tuple[int, int, str]]] = {}
    for name, parameter in model.named_parameters():
        if parameter.layout is not torch.strided or not parameter.numel():
            continue
        span = 1 + sum(int((size - 1) * step) for size, step in zip(parameter.shape, parameter.stride(), strict=True))
        start, width = int(parameter.storage_offset()), parameter.element_size()
        storage = parameter.untyped_storage()._cdata
        for low, high, other in spans.setdefault(storage, []):
            if start * width < high and low < (start + span) * width:
                raise CannotTakePart(
                    f"{other} and {name} are two parameters that share memory: let both names be one parameter"
                )
        spans[storage].append((start * width, (start + span) * width, name))
