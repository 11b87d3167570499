"""The manifest of a leaderboard: a sha256 of every committed file, so that no byte changes unseen.

It protects against accidents and careless edits. Whoever forges a result can forge the manifest too; running the
results again is what catches that (`prunebench verify`).
"""

from __future__ import annotations

import json
import os
import stat
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from prunebench.api import keys
from prunebench.api.errors import PrunebenchError
from prunebench.api.rows import Record
from prunebench.results.reading import content_of, parsed, reason, sha256_of

MANIFEST = "manifest.json"
VERIFICATION = "verification.json"
INDEX = "index.html"
UNLISTED = frozenset({MANIFEST, VERIFICATION, INDEX})
"""Files beside the results that come later or are made again: the page, and the record of a verification."""

UNFINISHED = ".unfinished"
"""Where the files of a leaderboard lie while they are put in their place, until its manifest fits them."""

SOURCES = ("results.jsonl", "details.jsonl", "provenance.json")
"""The files that all others of a leaderboard are made from."""

_IGNORED = ".gitignore"
_MOST_FILES = 100_000
_DEVICES = frozenset({"CON", "PRN", "AUX", "NUL", *(f"{port}{n}" for port in ("COM", "LPT") for n in range(1, 10))})
"""Names that are no files on Windows."""


class DamagedManifestError(PrunebenchError):
    """A manifest that does not fit itself."""


class Manifest(Record):
    """What `manifest.json` holds.

    Attributes:
        schema_version: of the manifest; "schema" in the file.
        files: the sha256 of each file, by its path below the folder, with "/" between its parts.
        sha256: of the other two fields' canonical JSON.
    """

    schema_version: int = Field(alias="schema")
    files: Mapping[str, str]
    sha256: str

    @field_validator("files")
    @classmethod
    def _stays_inside(cls, files: Mapping[str, str]) -> Mapping[str, str]:
        for name in files:
            if not is_plain(name):
                raise ValueError(f"files names {name!r}, which is no path below the leaderboard's folder")
        for one, other in alike(files):
            raise ValueError(f"files names {one!r} and {other!r}, which are one file on some systems")
        return files


def is_plain(name: str) -> bool:
    """Whether a name is a path below a folder, written the only way that it can be, on every system."""
    return name.isprintable() and all(map(_is_plain_part, name.split("/")))


def _is_plain_part(part: str) -> bool:
    if part in ("", ".", "..") or set(part) & set('\\:*?"<>|') or part[-1] in " .":
        return False
    return part.split(".")[0].rstrip().upper() not in _DEVICES


def alike(names: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of names that a file system takes for one: they differ in case or in how characters are composed."""
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(unicodedata.normalize("NFKC", name).casefold(), name)
        if other != name:
            yield other, name


def manifest_text(files: Mapping[str, str]) -> str:
    """The content of `manifest.json`. `files`: the sha256 of each."""
    body: dict[str, Any] = {"schema": 1, "files": dict(files)}
    return json.dumps({**body, "sha256": keys.digest(body)}, indent=2, sort_keys=True) + "\n"


def manifest_of(files: Mapping[str, Path]) -> str:
    """The content of the manifest of files, by their paths below the leaderboard's folder, wherever they lie now.

    Raises: PrunebenchError if one is no regular file.
    """
    return manifest_text({name: sha256_of(path) for name, path in files.items() if name not in UNLISTED})


def files_in(folder: Path) -> list[str]:
    """The files of a leaderboard by their paths below its folder, sorted.

    Without hidden ones, and without folders that keep themselves out of version control (whose `.gitignore` is "*"):
    trackers have their own state there.

    Raises: PrunebenchError if one is a link or a device, or has a name that cannot be listed.
    """
    files: list[str] = []
    for path in _walk(folder):
        name = path.relative_to(folder).as_posix()
        if not is_plain(name):
            raise PrunebenchError(f"{folder}: the name {name!r} cannot stand in a manifest")
        if path.is_symlink() or not path.is_file():
            raise PrunebenchError(f"{path}: not a regular file; a leaderboard holds nothing else, and no links")
        files.append(name)
        if len(files) > _MOST_FILES:
            raise PrunebenchError(f"{folder}: more than {_MOST_FILES:,} files, which no leaderboard has")
    for one, other in alike(files):
        raise PrunebenchError(f"{folder}: {one!r} and {other!r} are one file on some systems; rename one of them")
    return sorted(files)


def hidden_in(folder: Path) -> list[str]:
    """What `files_in` passes over: hidden files and folders, and folders that keep themselves out of version control.

    Raises PrunebenchError if the folder cannot be read.
    """
    found = []
    try:
        for where, folders, files in os.walk(folder, onerror=_raise):
            hidden = [name for name in (*folders, *files) if name.startswith(".")]
            hidden += [name for name in folders if name not in hidden and _ignores_itself(Path(where, name))]
            found += [Path(where, name).relative_to(folder).as_posix() for name in hidden]
            folders[:] = [name for name in folders if name not in hidden]
    except OSError as error:
        raise PrunebenchError(f"{folder}: cannot be read: {reason(error)}") from error
    return sorted(found)


def irregular_in(folder: Path) -> list[str]:
    """Links and devices below a leaderboard's folder, by their paths; in hidden folders and those of trackers too."""
    found = []
    try:
        for where, folders, files in os.walk(folder, onerror=_raise):
            for name in (*folders, *files):
                path = Path(where, name)
                mode = path.lstat().st_mode
                if not (stat.S_ISDIR(mode) or stat.S_ISREG(mode)):
                    found.append(path.relative_to(folder).as_posix())
    except OSError as error:
        raise PrunebenchError(f"{folder}: cannot be read: {reason(error)}") from error
    return sorted(found)


def _raise(error: OSError) -> None:
    raise error


def _walk(folder: Path) -> Iterator[Path]:
    """Everything below a folder that is no folder itself. Links are given and not followed."""
    try:
        inside = sorted(folder.iterdir())
    except OSError as error:
        raise PrunebenchError(f"{folder}: cannot be read: {reason(error)}") from error
    for path in inside:
        if path.name.startswith("."):
            continue
        if path.is_symlink() or not path.is_dir():
            yield path
        elif not _ignores_itself(path):
            yield from _walk(path)


def _ignores_itself(folder: Path) -> bool:
    try:
        return content_of(folder / _IGNORED).strip() == b"*"
    except (FileNotFoundError, PrunebenchError):
        return False


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a leaderboard.

    Raises:
        DamagedManifestError: it is damaged or was edited.
        PrunebenchError: there is none, or the folder was left in the middle of a change.
    """
    if (folder / UNFINISHED).is_symlink() or (folder / UNFINISHED).exists():
        raise PrunebenchError(
            f"{folder}: incomplete: writing it was interrupted. `prunebench report {folder}` completes it."
        )
    return parsed_manifest(folder)


def parsed_manifest(folder: Path) -> Manifest:
    """What the manifest holds, also in the middle of a change. Raises as `read_manifest` does otherwise."""
    path = folder / MANIFEST
    try:
        content = content_of(path)
    except FileNotFoundError:
        raise PrunebenchError(f"{folder}: not a leaderboard: it has no {MANIFEST}") from None
    try:
        manifest = parsed(content, Manifest.model_validate_json, str(path))
    except PrunebenchError as error:
        raise DamagedManifestError(str(error)) from error
    if content != manifest_text(manifest.files).encode():
        raise DamagedManifestError(f"{path}: it was edited: its own sha256 does not fit")
    return manifest


def check_manifest(folder: Path) -> list[str]:
    """What differs from the manifest, a sentence each; empty if every listed byte is as it was written.

    Raises:
        PrunebenchError: there is no manifest, or the folder was left in the middle of a change.
    """
    try:
        manifest = read_manifest(folder)
    except DamagedManifestError as error:
        return [str(error).removeprefix(f"{folder}/")]
    differences = []
    for name, digest in manifest.files.items():
        try:
            if sha256_of(path_in(folder, name)) != digest:
                differences.append(f"{name} was edited: its sha256 is not the manifest's")
        except FileNotFoundError:
            differences.append(f"{name} is missing")
        except PrunebenchError as error:
            differences.append(str(error).removeprefix(f"{folder}/"))
    return differences


def path_in(folder: Path, name: str) -> Path:
    """The path of a listed file. Raises PrunebenchError if a link leads there."""
    path = folder
    for part in name.split("/")[:-1]:
        path = path / part
        if path.is_symlink():
            raise PrunebenchError(f"{path}: it is a symbolic link, which is not followed")
    return folder / name


def foreign_files(folder: Path) -> list[str]:
    """Files of a leaderboard's folder that its manifest does not list. Raises as `read_manifest` and `files_in` do."""
    listed = read_manifest(folder).files
    return [name for name in files_in(folder) if name not in listed and name not in UNLISTED]
