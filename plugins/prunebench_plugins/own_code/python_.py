"""A network or a data set that a function of your own module makes: `factory = "mypackage.models:net"`.

The function of a network is called with `classes`, `shape` (channels, height, width) and the table `args`, as far as it
takes them, and returns an nn.Module. That of a data set is called with `args` and returns a mapping of "train", "test"
and perhaps "valid", each a pair of tensors (inputs, targets) or a torch Dataset of such pairs; it is held in memory.

The digest of the module's source (of the whole package, where it lies in one) is part of the key, so a changed function
trains anew. A file of a stranger could name any code, so a module's code only runs if the command says that it may:
`prunebench run FILE --python mypackage`, or `PRUNEBENCH_PYTHON=mypackage`.

Source: none.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue, field_validator, model_validator

from prunebench import Component, ComponentConfig, PlanError, hookimpl
from prunebench.api.info import DataInfo
from prunebench.api.trust import TRUSTED
from prunebench_plugins.own_code import _source

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.data import Data
    from prunebench.api.random import Rng

_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*")

LARGEST = 1_000_000
"""Examples of a data set, and more are not held in memory."""


class PythonConfig(ComponentConfig):
    """`factory`: where the function is, "MODULE:FUNCTION"; `args`: what it is called with.

    `valid`: of a data set without a split "valid", how many training examples are held out, others for each seed; 0:
    none. `source`: the sha256 of the module's source, filled in; stated, it must be that.
    """

    factory: str = Field(examples=["mypackage.models:net"])
    args: dict[str, JsonValue] = Field(default_factory=dict)
    valid: int = Field(default=0, ge=0)
    source: str = ""

    @field_validator("factory")
    @classmethod
    def _is_a_path(cls, factory: str) -> str:
        if not _PATH.fullmatch(factory):
            raise ValueError('write "MODULE:FUNCTION", such as "mypackage.models:net"')
        return factory

    @model_validator(mode="before")
    @classmethod
    def _with_source(cls, table: Any) -> Any:
        factory = table.get("factory") if isinstance(table, Mapping) else None
        if not isinstance(factory, str) or not _PATH.fullmatch(factory):
            return table
        module = factory.partition(":")[0]
        if not _source.allowed(module):
            top = module.partition(".")[0]
            raise ValueError(
                f'the file wants to run code of "{module}"; if you trust it, say --python {top} or set {TRUSTED}={top}'
            )
        found = _source.digest(module)
        stated = table.get("source") or found
        if stated != found:
            raise ValueError(
                f'the source of "{module}" is not the one that was stated ({found[:12]}, not {stated[:12]})'
            )
        return {**table, "source": found}


class Python:
    """Calls a user's function."""

    def __init__(self, config: PythonConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_model(self, data_info: DataInfo) -> nn.Module:
        """The network of the function.

        Raises:
            PlanError: the function cannot be found or called so, or returns no network.
        """
        from torch import nn

        offered = {"classes": data_info.classes, "shape": data_info.shape}
        model = self._call(offered)
        if not isinstance(model, nn.Module):
            raise PlanError(f"python: {self._config.factory} returned {type(model).__name__}, not an nn.Module")
        return model

    @hookimpl
    def prunebench_data(self, rng: Rng) -> Data:
        """The splits that the function gives.

        Raises:
            PlanError: the function cannot be found or called so, or returns no splits.
        """
        import torch

        from prunebench.api.data import Data, ResidentTensors

        name = self._config.factory
        found = self._call({})
        if not isinstance(found, Mapping) or not {"train", "test"} <= set(found) <= {"train", "valid", "test"}:
            raise PlanError(f'python: {name} must return a mapping of "train", "test" and perhaps "valid"')
        parts = {split: _tensors(f"{name}: {split}", value) for split, value in found.items()}
        digest = hashlib.sha256(self._config.source.encode())
        for split in sorted(parts):
            for tensor in parts[split]:
                digest.update(f"{split} {tensor.dtype} {tuple(tensor.shape)}".encode())
                digest.update(tensor.numpy().tobytes())
        held = self._config.valid
        if held:
            inputs, targets = parts["train"]
            if "valid" in parts:
                raise PlanError(f'python: {name} gives a split "valid" itself; leave `valid` out')
            if held >= len(inputs):
                raise PlanError(f"python: {name} has {len(inputs):,} training examples; valid = {held:,} leaves none")
            order = torch.from_numpy(rng.permutation(len(inputs)))
            parts["train"] = inputs[order[held:]], targets[order[held:]]
            parts["valid"] = inputs[order[:held]], targets[order[:held]]
        splits = {split: ResidentTensors(*tensors) for split, tensors in parts.items()}
        sizes = {split: value.size for split, value in splits.items()}
        inputs, targets = parts["train"]
        whole = targets.dtype == torch.int64 and targets.dim() == 1
        classes = 1 + max(int(part[1].max()) for part in parts.values()) if whole else 0
        info = DataInfo(name, digest.hexdigest(), sizes, tuple(inputs.shape[1:]), classes)
        return Data(info, splits)

    def _call(self, offered: Mapping[str, Any]) -> Any:
        name, args = self._config.factory, self._config.args
        try:
            function = _source.factory(name)
            takes = inspect.signature(function).parameters
            anything = any(p.kind is inspect.Parameter.VAR_KEYWORD for p in takes.values())
            given = {key: value for key, value in offered.items() if key in takes or anything}
            inspect.signature(function).bind(**{**given, **args})
        except (ImportError, ValueError, TypeError) as error:
            raise PlanError(f"python: {name}: {error}") from error
        return function(**{**given, **args})


def _tensors(what: str, value: Any) -> tuple[Tensor, Tensor]:
    """Inputs and targets of a split, on the CPU."""
    import torch

    if isinstance(value, tuple | list) and len(value) == 2 and all(isinstance(one, torch.Tensor) for one in value):
        inputs, targets = value
    else:
        if not hasattr(value, "__getitem__") or not hasattr(value, "__len__"):
            raise PlanError(
                f"python: {what} is {type(value).__name__}: neither two tensors nor a Dataset with a length"
            )
        if not 0 < len(value) <= LARGEST:
            raise PlanError(f"python: {what} has {len(value):,} examples; from 1 to {LARGEST:,} can be held in memory")
        pairs = [value[place] for place in range(len(value))]
        try:
            inputs = torch.stack([torch.as_tensor(pair[0]) for pair in pairs])
            targets = torch.stack([torch.as_tensor(pair[1]) for pair in pairs])
        except (TypeError, ValueError, RuntimeError, IndexError) as error:
            raise PlanError(f"python: {what}: its examples are no pairs of equally shaped tensors ({error})") from error
    if len(inputs) != len(targets) or not len(inputs):
        raise PlanError(f"python: {what} has {len(inputs):,} inputs and {len(targets):,} targets")
    if inputs.is_floating_point():
        inputs = inputs.float()
    if not targets.is_floating_point():
        targets = targets.long()
    return inputs.detach().cpu().contiguous(), targets.detach().cpu().contiguous()


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `python`."""
    yield Component("python", PythonConfig, Python, version=1)
