"""The state of a network in a file of torch.save: read as tensors and plain values, and unwrapped.

Only tensors and plain values are read (`weights_only=True`): a checkpoint that holds anything else, such as a whole
module, is refused. What programs wrap around a state is taken off and named: the dictionary of a checkpoint, the names
that DataParallel, Lightning and torch.compile put before those of the network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prunebench.api.errors import PrunebenchError
from prunebench.kernels.weight_files import COMPILED, WRAPPERS

STATES = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
"""Where checkpoints keep the state of the network, in order of preference."""


@dataclass(frozen=True)
class SavedState:
    """A state under the names of the network, in the order of the file, and what was taken off to come to it."""

    tensors: Mapping[str, Tensor]
    taken_off: tuple[str, ...] = ()


def read_saved(file: Path, key: str | None = None, device: str = "cpu") -> SavedState:
    """The state in a file of torch.save.

    Args:
        key: where it is, with dots between nested ones; found by itself if there is one place.
        device: "meta" for shapes alone.
    Raises:
        PrunebenchError: it cannot be read without running its code, or holds no state.
    """
    try:
        content = torch.load(file, map_location=device, weights_only=True)
    except OSError as error:
        raise PrunebenchError(f"{file}: it cannot be read ({error.strerror or error})") from error
    except Exception as error:  # of a damaged or foreign pickle: anything
        raise PrunebenchError(
            f"{file}: it holds more than tensors and plain values, or is damaged: "
            f"{(str(error) or type(error).__name__).splitlines()[0]}\n"
            "  Save the state alone: torch.save(model.state_dict(), PATH)."
        ) from error
    try:
        return state_in(content, key)
    except PrunebenchError as error:
        raise PrunebenchError(f"{file}: {error}") from None


def state_in(content: Any, key: str | None = None) -> SavedState:
    """The state in a checkpoint, under the names of the network.

    Args:
        key: where it is, with dots between nested ones; found by itself if there is one place.
    Raises:
        PrunebenchError: there is no state of tensors, or it is not known which; says what there is.
    """
    taken_off = []
    if key is not None:
        for part in key.split("."):
            if not isinstance(content, Mapping) or part not in content:
                raise PrunebenchError(f'no "{part}" in the checkpoint; it has {_listed(content)}')
            content = content[part]
        taken_off.append(key)
    for _ in range(4):
        if not isinstance(content, Mapping):
            break
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        inner = [name for name in STATES if isinstance(content.get(name), Mapping)]
        if tensors and not inner:
            plain, prefixes = _unwrapped(tensors)
            return SavedState(plain, (*taken_off, *prefixes))
        if not inner:
            break
        taken_off.append(inner[0])
        content = content[inner[0]]
    raise PrunebenchError(
        f"it holds no state of tensors where one is looked for ({', '.join(STATES)}); it has {_listed(content)}"
    )


def _listed(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    return ", ".join(f'"{name}"' for name in list(content)[:8]) + (", ..." if len(content) > 8 else "") or "nothing"


def _unwrapped(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], list[str]]:
    names = {name: ".".join(part for part in name.split(".") if part != COMPILED) for name in state}
    taken_off = [f"{COMPILED}."] if any(names[name] != name for name in names) else []
    # A name that all share and that wraps: a network whose own parts are called so has others beside it.
    while len({name.partition(".")[0] for name in names.values()}) == 1:
        first = next(iter(names.values()))
        if first.partition(".")[0] not in WRAPPERS or "." not in first:
            break
        taken_off.append(first.partition(".")[0] + ".")
        names = {name: now.partition(".")[2] for name, now in names.items()}
    return {names[name]: value for name, value in state.items()}, taken_off
