"""Weight files that a run may start from: safetensors alone, since a pickle runs code when it is read. No torch."""

from __future__ import annotations

import hashlib
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from prunebench.api.errors import DataMissing, PlanError

Shapes = Mapping[str, Sequence[int]]
"""The shape of each parameter and buffer, by qualified name."""

COUNTERS = "num_batches_tracked"
"""Batch norm's counter of steps: files of other programs may lack it, and no number depends on it."""


def found(root: Path, path: str) -> Path:
    """A weight file below the data root, or at an absolute path.

    Raises:
        DataMissing: there is none.
        PlanError: it is not a safetensors file.
    """
    file = root / path
    if not file.is_file():
        raise DataMissing(f'model.weights: no file "{path}" below the data root {root}; put a safetensors file there')
    with file.open("rb") as stream:
        head = stream.read(9)
    # Eight bytes with the length of a JSON header, then the header.
    if len(head) < 9 or head[8:9] != b"{":
        if head[:2] not in (b"PK", b"\x80\x02"):
            raise PlanError(
                f'model.weights: "{path}" is not a safetensors file, nor one that torch.save wrote; is it whole?'
            )
        raise PlanError(
            f'model.weights: "{path}" is a pickle, which may run any code when it is read. Convert it where you trust '
            f"it (only tensors are read, and what a checkpoint wraps around them is taken off):\n"
            f"    python -m prunebench.kernels.convert_checkpoint {shlex.quote(str(file))}\n"
            f'and name "{Path(path).with_suffix(".safetensors")}" instead.'
        )
    return file


def digest_of(file: Path) -> str:
    """sha256 of the file's bytes, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def shapes_of(file: Path) -> Shapes:
    """What a safetensors file holds, from its header.

    Raises:
        PlanError: the header is damaged.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(str(file), framework="numpy") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise PlanError(f'model.weights: "{file.name}" is damaged: {error}') from None


WRAPPERS = ("module", "model", "net", "network")
"""What programs put before the names of a network that they wrap: DataParallel, Lightning, and others."""
COMPILED = "_orig_mod"
"""What torch.compile puts into the names of a network or a part of it."""


def renamed(
    offered: Iterable[str], wanted: Collection[str], aliases: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The name in the network of each name in a file; names that the network lacks stay, without their wrapping.

    Args:
        wanted: the network's names, each tensor under its first.
        aliases: further names of the network's tensors, each with the first.
    """
    further = aliases or {}
    known = {*wanted, *further}
    names = {name: name for name in offered}
    if not any(COMPILED in name.split(".") for name in known):
        names = {name: ".".join(part for part in name.split(".") if part != COMPILED) for name in names}
    while not known & set(names.values()):
        wrapped = [name for name in names.values() if name.partition(".")[0] in WRAPPERS and "." in name]
        if not wrapped:
            break
        outer = wrapped[0].partition(".")[0] + "."
        names = {name: now.removeprefix(outer) for name, now in names.items()}
    return {name: further.get(now, now) for name, now in names.items()}


def check_fit(
    path: str,
    offered: Shapes,
    wanted: Shapes,
    aliases: Mapping[str, str] | None = None,
    drawn: Collection[str] = (),
) -> None:
    """Raises PlanError with every name and shape in which a file differs from the network.

    Args:
        wanted: each tensor of the network under its first name.
        aliases: further names, each with the first.
        drawn: names of tensors that are drawn afresh, whatever the file has for them.
    """
    names = renamed(offered, wanted, aliases)
    shapes: dict[str, Sequence[int]] = {}
    lines = []
    for name, shape in offered.items():
        if list(shapes.setdefault(names[name], shape)) != list(shape):
            lines.append(f"{names[name]}: the file has it twice, as {list(shapes[names[name]])} and {list(shape)}")
    lines += [
        f"{name}: the network has {list(wanted[name])}, the file {list(shapes[name])}"
        for name in wanted
        if name in shapes and name not in drawn and list(wanted[name]) != list(shapes[name])
    ]
    fresh = "; `fresh_head = true` draws the classifier anew" if lines and not drawn else ""
    lines += [
        f"{name}: not in the file"
        for name in wanted
        if name not in shapes and name not in drawn and not name.endswith(COUNTERS)
    ]
    lines += [f"{name}: not in the network" for name in shapes if name not in wanted]
    if lines:
        raise PlanError(f'model.weights: "{path}" does not fit the network{fresh}:\n    ' + "\n    ".join(lines))
