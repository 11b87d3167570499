"""Weight files that a run may start from: safetensors alone, since a pickle runs code when it is read. No torch."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
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
        target = Path(path).with_suffix(".safetensors").name
        raise PlanError(
            f'model.weights: "{path}" is a pickle, which may run any code when it is read. Convert it where you '
            "trust it:\n"
            f'    python -c "import torch, safetensors.torch as s; s.save_file({{n: t.contiguous() for n, t in '
            f"torch.load('{Path(path).name}', map_location='cpu', weights_only=True).items()}}, '{target}')\""
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


def check_fit(path: str, offered: Shapes, wanted: Shapes) -> None:
    """Raises PlanError with every name and shape in which a file differs from the network."""
    lines = [
        f"{name}: the network has {list(wanted[name])}, the file {list(offered[name])}"
        for name in wanted
        if name in offered and list(wanted[name]) != list(offered[name])
    ]
    lines += [f"{name}: not in the file" for name in wanted if name not in offered and not name.endswith(COUNTERS)]
    lines += [f"{name}: not in the network" for name in offered if name not in wanted]
    if lines:
        raise PlanError(f'model.weights: "{path}" does not fit the network:\n    ' + "\n    ".join(lines))
