"""Files of a publisher's archive, read from the folder that it unpacks to or from the archive itself."""

from __future__ import annotations

import hashlib
import tarfile
import zlib
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from prunebench import DataMissing
from prunebench.api.errors import DataUnusable

LARGEST = 2**28
"""Bytes of the largest file that is read: a damaged or a foreign one may be endless."""


def published(name: str, root: Path, folder: str, archive: str, sha1: Mapping[str, str]) -> dict[Path, list[bytes]]:
    """The content of the files named in `sha1`, in that order, by the file or the archive that they were read from.

    Args:
        name: of the data set, for errors.
        folder: below `root`, with all of the files; taken if it is whole.
        archive: a tar.gz that holds `folder`, beside it.
        sha1: the SHA-1 of each file.
    Raises:
        DataMissing: neither is there.
        DataUnusable: the folder is not whole, or a file is not the published one.
    """
    paths = [root / folder / file for file in sha1]
    missing = [path.name for path in paths if not path.is_file()]
    packed = root / archive
    if not missing:
        found = {path: [_content(name, path)] for path in paths}
    elif packed.is_file():
        found = {packed: _unpacked(name, packed, list(sha1))}
    else:
        partly = len(missing) < len(paths)
        gone = f"{root / folder} lacks {', '.join(missing)}" if partly else f"no {folder} in {root}"
        raise (DataUnusable if partly else DataMissing)(
            f"{name}: {gone}. Run `prunebench data fetch {name}`, or put {archive} (binary version) or the folder that "
            "it unpacks to there."
        )
    contents = (content for group in found.values() for content in group)
    for (file, wanted), content in zip(sha1.items(), contents, strict=True):
        place = root / folder / file if not missing else f"{file} in {packed}"
        if (got := hashlib.sha1(content, usedforsecurity=False).hexdigest()) != wanted:
            raise DataUnusable(
                f"{name}: {place} is not the published file: its SHA-1 is {got}, not {wanted}. Delete "
                f"{root / folder if not missing else packed} and run `prunebench data fetch {name}`."
            )
    return found


def _content(name: str, path: Path) -> bytes:
    try:
        if path.stat().st_size <= LARGEST:
            return path.read_bytes()
        why = f"it has more than {LARGEST:,} bytes"
    except PermissionError:
        raise  # nothing is wrong with what it holds
    except OSError as error:
        why = error.strerror or str(error)
    raise DataUnusable(f"{name}: {path} cannot be read ({why}). Fetch it again.")


def _unpacked(name: str, packed: Path, files: list[str]) -> list[bytes]:
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(packed, "r:gz") as tar:
            for member in tar:
                file = PurePosixPath(member.name).name
                if file in files and member.size <= LARGEST and (content := tar.extractfile(member)) is not None:
                    found[file] = content.read()
    except PermissionError:
        raise
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataUnusable(f"{name}: {packed} cannot be unpacked ({error}). Delete it and fetch it again.") from error
    if missing := [file for file in files if file not in found]:
        raise DataUnusable(f"{name}: {packed} lacks {', '.join(missing)}: it is not the publisher's binary version.")
    return [found[file] for file in files]
