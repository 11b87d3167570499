"""A checkpoint that torch.save wrote, as a safetensors file: `python -m prunebench.kernels.convert_checkpoint FILE`.

Only tensors and plain values are read (`weights_only=True`): a checkpoint that holds anything else, such as a whole
module, is refused. What programs wrap around a state is taken off: the dictionary of a checkpoint, the names that
DataParallel, Lightning and torch.compile put before those of the network.
"""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from prunebench.api.errors import PrunebenchError
from prunebench.kernels.weight_files import COMPILED, WRAPPERS

STATES = ("state_dict", "model_state_dict", "model", "net", "network", "module", "weights", "params")
"""Where checkpoints keep the state of the network, in order of preference."""


def state_of(content: Any, key: str | None = None) -> dict[str, Tensor]:
    """The state in a checkpoint, under the names of the network.

    Args:
        key: where it is, with dots between nested ones; found by itself if there is one place.
    Raises:
        PrunebenchError: there is no state of tensors, or it is not known which; says what there is.
    """
    if key is not None:
        for part in key.split("."):
            if not isinstance(content, Mapping) or part not in content:
                raise PrunebenchError(f'no "{part}" in the checkpoint; it has {_listed(content)}')
            content = content[part]
    for _ in range(4):
        if not isinstance(content, Mapping):
            break
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        inner = [name for name in STATES if isinstance(content.get(name), Mapping)]
        if tensors and not inner:
            return _unwrapped(tensors)
        if not inner:
            break
        content = content[inner[0]]
    raise PrunebenchError(
        f"it holds no state of tensors where one is looked for ({', '.join(STATES)}); it has {_listed(content)}"
    )


def _listed(content: Any) -> str:
    if not isinstance(content, Mapping):
        return f"a {type(content).__name__}"
    return ", ".join(f'"{name}"' for name in list(content)[:8]) + (", ..." if len(content) > 8 else "") or "nothing"


def _unwrapped(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    names = {name: ".".join(part for part in name.split(".") if part != COMPILED) for name in state}
    # A name that all share and that wraps: a network whose own parts are called so has others beside it.
    while len({name.partition(".")[0] for name in names.values()}) == 1:
        first = next(iter(names.values()))
        if first.partition(".")[0] not in WRAPPERS or "." not in first:
            break
        names = {name: now.partition(".")[2] for name, now in names.items()}
    return {names[name]: value for name, value in state.items()}


def convert(source: Path, target: Path, key: str | None = None) -> int:
    """Write the state of a checkpoint as safetensors; the number of its tensors.

    Tensors that share memory are written one by one.

    Raises:
        PrunebenchError: it cannot be read without running its code, or holds no state; the file cannot be written.
    """
    from safetensors.torch import save

    try:
        content = torch.load(source, map_location="cpu", weights_only=True)
    except OSError as error:
        raise PrunebenchError(f"{source}: it cannot be read ({error.strerror or error})") from error
    except Exception as error:  # of a damaged or foreign pickle: anything
        raise PrunebenchError(
            f"{source}: it holds more than tensors and plain values, or is damaged: {str(error).splitlines()[0]}\n"
            "  Save the state alone: torch.save(model.state_dict(), PATH)."
        ) from error
    try:
        state = state_of(content, key)
    except PrunebenchError as error:
        raise PrunebenchError(f"{source}: {error}") from None
    data = save({name: value.detach().to_dense().contiguous().clone() for name, value in state.items()})
    temporary = target.with_name(f"{target.name}.{secrets.token_hex(4)}")
    try:
        temporary.write_bytes(data)
        os.replace(temporary, target)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise PrunebenchError(f"{target}: it cannot be written ({error.strerror})") from error
    return len(state)


def main(arguments: list[str]) -> int:
    """FILE [TARGET] [--key KEY]: convert, and say what was written."""
    key = None
    if "--key" in arguments[:-1]:
        at = arguments.index("--key")
        key, arguments = arguments[at + 1], [*arguments[:at], *arguments[at + 2 :]]
    if len(arguments) not in (1, 2) or any(argument.startswith("-") for argument in arguments):
        print("usage: python -m prunebench.kernels.convert_checkpoint FILE [TARGET] [--key KEY]", file=sys.stderr)
        return 2
    source = Path(arguments[0])
    target = Path(arguments[1]) if len(arguments) == 2 else source.with_suffix(".safetensors")
    try:
        count = convert(source, target, key)
    except PrunebenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"{target}: {count} tensors")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
