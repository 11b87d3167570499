"""A checkpoint that torch.save wrote, as a safetensors file: `python -m prunebench.kernels.convert_checkpoint FILE`.

Only tensors and plain values are read (`weights_only=True`): a checkpoint that holds anything else, such as a whole
module, is refused. What programs wrap around a state is taken off: the dictionary of a checkpoint, the names that
DataParallel, Lightning and torch.compile put before those of the network.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path

from prunebench.api.errors import PrunebenchError
from prunebench.kernels.saved_states import read_saved


def convert(source: Path, target: Path, key: str | None = None) -> int:
    """Write the state of a checkpoint as safetensors; the number of its tensors.

    Tensors that share memory are written one by one.

    Raises:
        PrunebenchError: it cannot be read without running its code, or holds no state; the file cannot be written.
    """
    from safetensors.torch import save

    state = read_saved(source, key).tensors
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
