"""Code that all computations share and that a component put something else in place of: found, and put back.

Watched are the modules of the suite, its plugins, torch, NumPy and those of Python that numbers and files go through:
a function, module, type or number of theirs that is another one afterwards, a method that hides an inherited one, or
a module that `sys.modules` names otherwise. What an import adds is no change, nor is a function that its own library
wraps in another of the same name, as torch's compiler does.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Iterator, Mapping
from functools import lru_cache
from operator import is_
from types import GetSetDescriptorType, ModuleType
from typing import Any, TypeAlias

Owner: TypeAlias = "ModuleType | type"

_OWN = ("prunebench", "prunebench_plugins")
_WHOLE = (
    *("builtins", "hashlib", "io", "json", "math", "os", "random", "struct", "threading", "time"),
    *("numpy", "numpy.linalg", "numpy.random", "torch", "torch.autograd", "torch.linalg", "torch.nn"),
    *("torch.nn.functional", "torch.nn.init", "torch.optim", "safetensors.torch"),
)
_CLASSES = ("torch.nn", "torch.optim", "torch.optim.lr_scheduler")
"""Modules whose classes are looked into, with those that these are made from."""


class Code:
    """That code as it is now.

    Args:
        own: the suite's own modules too, which are many.
    """

    def __init__(self, *, own: bool = False) -> None:
        names, owners = _watched(own, len(sys.modules))
        self._modules = {name: sys.modules[name] for name in names if name in sys.modules}
        self._before: list[tuple[Owner, Mapping[str, Any]]] = [(owner, dict(vars(owner))) for owner in owners]

    def restore(self) -> list[str]:
        """Put back what was exchanged; the names of that."""
        changed = []
        now = sys.modules
        for name, module in self._modules.items():
            if now.get(name) is not module:
                now[name] = module
                changed.append(f'the module "{name}"')
        for owner, before in self._before:
            after = vars(owner)
            if len(after) == len(before) and all(map(is_, after.values(), before.values())):
                continue
            changed += self._put_back(owner, before)
        return changed

    def _put_back(self, owner: Owner, before: Mapping[str, Any]) -> Iterator[str]:
        after = dict(vars(owner))
        for name, value in before.items():
            found = after.get(name, _NOTHING)
            if found is not value and _is_breach(owner, name, value, found):
                setattr(owner, name, value)
                yield f"{_name_of(owner)}.{name}"
        for name in after.keys() - before.keys():
            hidden = _hidden(owner, name)
            if hidden is not _NOTHING and _is_breach(owner, name, hidden, after[name]):
                delattr(owner, name)
                yield f"{_name_of(owner)}.{name}"


_FOLLOWING = ("torch.Storage",)
"""What torch itself exchanges for another thing as a setting changes, here with the default type."""
_COMPILER = "torch._dynamo."
"""Where torch's compiler makes what it wraps around others, under names of its own too."""
_NOTHING = object()
_TRUSTED = frozenset({*sys.stdlib_module_names, *_OWN, "torch", "numpy", "safetensors"})


@lru_cache(maxsize=8)
def _watched(own: bool, loaded: int) -> tuple[list[str], list[Owner]]:
    """Names of modules, and what is looked into, as long as so many modules are loaded."""
    modules = list(sys.modules.items())
    owners: list[Owner] = [module for name in _WHOLE if isinstance(module := sys.modules.get(name), ModuleType)]
    if own:
        owners += [module for name, module in modules if _root(name) in _OWN and isinstance(module, ModuleType)]
        return [name for name, _ in modules if _root(name) in _TRUSTED], [*owners, *_classes()]
    return [name for name, _ in modules if name in _WHOLE], [*owners, *_classes()]


def _root(name: str) -> str:
    return name.partition(".")[0]


def _classes() -> Iterator[type]:
    """The classes of torch that networks and their training are made of."""
    seen: set[type] = set()
    torch = sys.modules.get("torch")
    found = [] if torch is None else [getattr(torch, "Tensor", None)]
    for name in _CLASSES:
        found += vars(sys.modules[name]).values() if name in sys.modules else ()
    for one in found:
        for kind in one.__mro__ if isinstance(one, type) else ():
            if kind not in seen and kind is not object and _root(kind.__module__) == "torch":
                seen.add(kind)
                yield kind


def _is_breach(owner: Owner, name: str, before: Any, after: Any) -> bool:
    """Whether what stands in a place now is neither what an import does nor a wrapping by the library itself."""
    if _root(_name_of(owner)) in _OWN or _is_constant(before):
        return True
    inner = _function(before)
    if not callable(inner) or f"{_name_of(owner)}.{name}" in _FOLLOWING:
        return False  # a flag, a cache
    other = _function(after)
    made = getattr(other, "__globals__", {}).get("__name__") or getattr(other, "__module__", None)
    if isinstance(made, str) and made.startswith(_COMPILER) and callable(other):
        return False
    if not callable(other) or getattr(other, "__name__", None) != getattr(inner, "__name__", None):
        return True
    return not isinstance(made, str) or _root(made) not in _TRUSTED


def _hidden(owner: Owner, name: str) -> Any:
    """What a name meant before its owner had one of its own: of a class an inherited method, of a module a builtin."""
    above = owner.__mro__[1:] if isinstance(owner, type) else (builtins,)
    return next((vars(one)[name] for one in above if name in vars(one)), _NOTHING)


def _is_constant(value: Any) -> bool:
    """Whether what a name stands for is no function, and no flag or cache either."""
    fixed = ModuleType | float | GetSetDescriptorType
    return isinstance(value, fixed) or type(value).__name__ == "dtype"


def _function(value: Any) -> Any:
    if isinstance(value, staticmethod | classmethod):
        return value.__func__
    return value.fget if isinstance(value, property) else value


def _name_of(owner: Owner) -> str:
    return f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else owner.__name__
