"""The files of a leaderboard change as a set: after a kill or on a full disk the old ones stand, or the new ones.

New files are written aside, below the folder, and synced. One rename then decides: before it the folder is as it was;
after it the new files lie in `.unfinished`, from where they are moved into their places, the manifest last. While
`.unfinished` is there the folder counts as incomplete, and whatever interrupted the moving, it can be completed.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prunebench.api.errors import PrunebenchError
from prunebench.results.manifest import MANIFEST, UNFINISHED, irregular_in, manifest_of
from prunebench.results.reading import reason

ASIDE = ".aside"
"""Where new files are written first; what a killed command left there goes at the next change."""


@contextmanager
def replacing(folder: Path, obsolete: Iterable[str] = ()) -> Iterator[Path]:
    """A folder to write new files into. At the end of the block they take the place of those of the same names.

    The leaderboard stays marked as incomplete until `seal` has written its manifest.

    Args:
        folder: of the leaderboard; made where it is not there.
        obsolete: files that are removed, unless they are among the new ones.
    Raises:
        PrunebenchError: the folder cannot be written, or holds a link or a folder where a file belongs. What was there
            is unchanged.
    """
    aside = folder / ASIDE
    with _sentences(folder):
        folder.mkdir(parents=True, exist_ok=True)
        complete(folder)
        _remove(aside)
        for name in irregular_in(folder):
            raise PrunebenchError(f"{folder / name}: a link or a device, which is not followed; remove it")
        aside.mkdir()
    try:
        with _sentences(folder):
            yield aside
            names = [path.name for path in aside.iterdir()]
            for name in {*names, *obsolete}:
                _check_place(folder / name)
            for name in names:
                _sync(aside / name)
            _sync(aside)
            os.rename(aside, folder / UNFINISHED)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    with _sentences(folder, "it is incomplete now, and `prunebench report` completes it"):
        _install(folder)
        for name in set(obsolete) - set(names):
            (folder / name).unlink(missing_ok=True)


def seal(folder: Path) -> None:
    """Write the manifest of a folder as it is; from then on it counts as complete.

    Raises: PrunebenchError if it cannot be written, or the folder holds what cannot be listed.
    """
    marker = folder / UNFINISHED
    with _sentences(folder, "it is incomplete now, and `prunebench report` completes it"):
        marker.mkdir(exist_ok=True)
        text = manifest_of(folder)
        (marker / MANIFEST).write_text(text, encoding="utf-8", newline="\n")
        _sync(marker / MANIFEST)
        _check_place(folder / MANIFEST)
        _install(folder)
        _remove(marker)
        _sync(folder)


def complete(folder: Path) -> bool:
    """Move what an interrupted change left aside into its place; whether there was any.

    The folder stays marked as incomplete until `seal`.
    """
    marker = folder / UNFINISHED
    if not marker.is_symlink() and not marker.is_dir():
        return False
    with _sentences(folder):
        if marker.is_symlink():
            raise PrunebenchError(f"{marker}: a symbolic link, which is not followed")
        _install(folder)
    return True


def remove_others(folder: Path, files: Collection[str]) -> list[str]:
    """Remove what no leaderboard holds: links and devices, and folders in the place of files; their names.

    Args:
        files: the names that are files of the leaderboard's own.
    """
    removed = []
    with _sentences(folder):
        for name in irregular_in(folder):
            (folder / name).unlink()
            removed.append(name)
        for name in files:
            if (folder / name).is_dir():
                shutil.rmtree(folder / name)
                removed.append(name)
    return removed


def _install(folder: Path) -> None:
    # The manifest comes last: where it lies in its place, so does everything that it lists.
    waiting = sorted((folder / UNFINISHED).iterdir(), key=lambda path: (path.name == MANIFEST, path.name))
    for path in waiting:
        _check_place(path)
        _check_place(folder / path.name)
    for path in waiting:
        os.replace(path, folder / path.name)
    _sync(folder)


def _check_place(path: Path) -> None:
    """Refuse to put a file where something else than a file stands."""
    if path.is_symlink():
        raise PrunebenchError(f"{path}: a symbolic link, and links are not followed; remove it")
    if path.exists() and not path.is_file():
        raise PrunebenchError(f"{path}: not a regular file; remove it")


def _remove(folder: Path) -> None:
    """Remove a folder of ours, or a link that stands in its place."""
    if folder.is_symlink():
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        with suppress(OSError) if path.is_dir() else _nothing():  # not every file system can sync a folder
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _nothing() -> Iterator[None]:
    yield


@contextmanager
def _sentences(folder: Path, state: str = "what was there before is unchanged") -> Iterator[None]:
    """OSErrors as sentences."""
    try:
        yield
    except OSError as error:
        where = error.filename or folder
        raise PrunebenchError(f"{where}: cannot be written: {reason(error)}. {folder}: {state}.") from error
