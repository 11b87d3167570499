"""The benchmark file that a leaderboard was made from."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from prunebench.api.errors import PrunebenchError
from prunebench.api.provenance import Provenance


def benchmark_file(folder: Path, provenance: Provenance, given: Path | None = None) -> Path:
    """The given file; else the recorded one, seen from the working folder or from the leaderboard's surroundings.

    What is recorded is a stranger's text: a path that leaves the folder that it is seen from stands for its last part
    alone.

    Raises: PrunebenchError if there is none.
    """
    if given is not None:
        if not given.is_file():
            raise PrunebenchError(f"{given}: no such benchmark file")
        return given
    path = PurePosixPath(provenance.file)
    places: list[Path] = []
    if not path.is_absolute() and ".." not in path.parts and path.name:
        places += [Path(path), folder.parent / path]
    if path.name and path.name != "..":
        places += [folder.parent / "benchmarks" / path.name, folder.parent / path.name, folder / path.name]
    for place in places:
        if _is_file(place):
            return place
    raise PrunebenchError(f"{folder}: it was made from {provenance.file!r}, which is not here; give --file")


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long a name, or a NUL in it
        return False
