"""The files of a leaderboard change as a set: after a kill or on a full disk the old ones stand, or the new ones.

New files are written aside, below the folder, with a manifest of what the folder will hold, and synced. One rename then
decides: before it the folder is as it was; after it the new files lie in `.unfinished`, from where they are moved into
their places, the manifest last. That needs no more room. While `.unfinished` is there the folder counts as incomplete,
and whatever interrupted the moving, it can be completed.

Of several commands that change one folder each has its turn, from what it reads there to the manifest that it leaves.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from prunebench.api.errors import PrunebenchError
from prunebench.kernels.locks import is_locked
from prunebench.results.manifest import (
    MANIFEST,
    UNFINISHED,
    UNLISTED,
    files_in,
    irregular_in,
    manifest_of,
    parsed_manifest,
)
from prunebench.results.reading import content_of, reason, sha256_of

ASIDE = ".aside"
"""Where new files are written first; what a killed command left there goes at the next change."""

TURN_SECONDS = 120.0
"""How long another command's turn is waited for; to render the largest boards takes less."""


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Take turns with the other commands that change a leaderboard's folder, which is made where it is not there.

    The lock is on the folder itself and ends with its process, so that nothing of it is left behind. Where a file
    system has no locks on folders (NFS), nobody waits.

    Raises:
        PrunebenchError: the folder cannot be made or opened, or another command has had its turn for TURN_SECONDS.
    """
    new = not os.path.lexists(folder)
    handle = _turn(folder, time.monotonic() + TURN_SECONDS)
    try:
        yield
    finally:
        if new:
            with suppress(OSError):  # it is not empty: it was written
                folder.rmdir()
        os.close(handle)


def _turn(folder: Path, deadline: float) -> int:
    """A folder that was opened and locked."""
    pause = 0.001
    while True:
        with _sentences(folder):
            folder.mkdir(parents=True, exist_ok=True)
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        # Whoever had its turn before may have removed the folder, and somebody else made it again.
        with suppress(OSError):
            if is_locked(handle, folder):
                return handle
        os.close(handle)
        if time.monotonic() > deadline:
            raise PrunebenchError(
                f"{folder}: another command has been writing to it for more than {TURN_SECONDS:.0f} s. Let it go on, "
                "or end it, and run again."
            )
        time.sleep(pause)
        pause = min(2 * pause, 0.1)


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
            for name in {*names, *obsolete, MANIFEST}:
                _check_place(folder / name)
            gone = set(obsolete) - set(names)
            kept = [name for name in files_in(folder) if name not in {*names, *gone}]
            there = {name: folder / name for name in kept} | {name: aside / name for name in names}
            _write(aside / MANIFEST, manifest_of(there))
            for name in names:
                _sync(aside / name)
            _sync(aside)
            os.rename(aside, folder / UNFINISHED)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    with _sentences(folder, "it is incomplete now, and `prunebench report` completes it"):
        _install(folder)
        for name in gone:
            (folder / name).unlink(missing_ok=True)


def seal(folder: Path) -> None:
    """Write the manifest of a folder as it is; from then on it counts as complete.

    Raises: PrunebenchError if it cannot be written, or the folder holds what cannot be listed.
    """
    text = manifest_of({name: folder / name for name in files_in(folder)})
    marker = folder / UNFINISHED
    if marker.is_symlink():
        raise PrunebenchError(f"{marker}: a symbolic link, which is not followed")
    if not marker.is_dir():
        if _has(folder / MANIFEST, text):
            return
        with replacing(folder):
            pass
    with _sentences(folder, "it is incomplete now, and `prunebench report` completes it"):
        if not _has(folder / MANIFEST, text):
            _write(marker / MANIFEST, text)
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


def changed_since_interruption(folder: Path) -> list[str]:
    """Files that came or changed since a change of the folder was decided that is not finished: a report's, or yours.

    Raises: PrunebenchError if what was interrupted cannot be completed.
    """
    if not complete(folder):
        return []
    try:
        listed = parsed_manifest(folder).files
    except PrunebenchError:
        return []
    return [name for name in files_in(folder) if name not in UNLISTED and listed.get(name) != sha256_of(folder / name)]


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


def _has(path: Path, text: str) -> bool:
    """Whether a file holds this text."""
    try:
        return content_of(path) == text.encode()
    except (FileNotFoundError, PrunebenchError):
        return False


def _write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", newline="\n")
    _sync(path)


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
