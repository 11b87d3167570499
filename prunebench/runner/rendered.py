"""Whether a leaderboard's files are already what its results would be rendered to.

All that is rendered follows from results and from the code that renders them. So this machine keeps of each folder, in
the user's cache, a digest of both and the sha256 of the files that came of it. Where the digest is the same again, and
so are the bytes of the files that lie there, rendering them anew would change nothing.

What the folder says of itself, such as its manifest, is not believed: only what was rendered here counts.
"""

from __future__ import annotations

import hashlib
import marshal
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from itertools import islice
from pathlib import Path
from typing import Any

from prunebench.api.details import Detail
from prunebench.api.errors import PrunebenchError
from prunebench.api.provenance import Provenance
from prunebench.api.rows import Record, Row
from prunebench.kernels import file_facts
from prunebench.results.manifest import UNFINISHED, VERIFICATION, irregular_in
from prunebench.results.provenance import provenance_text
from prunebench.results.reading import content_of, sha256_of
from prunebench.results.writing import ASIDE

_AT_ONCE = 1_000
_PLAIN = frozenset({str, int, float, bool, type(None), dict})


class Rendered:
    """What a folder's files are if they were rendered from some rows and details, and whether they are.

    Args:
        folder: of the leaderboard.
    """

    def __init__(self, folder: Path, rows: Sequence[Row], details: Sequence[Detail]) -> None:
        self._folder = folder
        self._made_of = hashlib.sha256(_renderer() + _digest(rows) + _digest(details))
        self._place = file_facts.place_of(f"rendered {folder.absolute()}")

    def files(self, provenance: Provenance, obsolete: Iterable[str] = ()) -> Mapping[str, str] | None:
        """The sha256 of each file, if all of them lie there with the bytes that would be written; otherwise None.

        Args:
            provenance: of the results, completed or not: what completes it follows from them and from the folder's
                record of a verification.
            obsolete: files that must not lie there if they are not among these.
        """
        known, made_of = file_facts.read_json(self._place), self._with(provenance)
        if made_of is None or not isinstance(known, dict) or known.get("made of") != made_of:
            return None
        files = known.get("files")
        if not isinstance(files, dict):
            return None
        absent = (ASIDE, UNFINISHED, *(set(obsolete) - files.keys()))
        if any(os.path.lexists(self._folder / name) for name in absent):
            return None
        try:
            if irregular_in(self._folder):
                return None
            sound = all(sha256_of(self._folder / name) == sha256 for name, sha256 in files.items())
        except (FileNotFoundError, PrunebenchError):
            return None
        return files if sound else None

    def keep(self, provenance: Provenance, files: Mapping[str, str]) -> None:
        """Note the sha256 of each file that was rendered."""
        made_of = self._with(provenance)
        if made_of is not None:
            file_facts.write_json(self._place, {"made of": made_of, "files": dict(files)})

    def _with(self, provenance: Provenance) -> str | None:
        """A digest of all that the files are made from; None where that cannot be read."""
        try:
            verification = content_of(self._folder / VERIFICATION)
        except FileNotFoundError:
            verification = b""
        except PrunebenchError:
            return None
        # What is derived may be there already, as where the results were read from the folder.
        stated = provenance_text(provenance.model_copy(update={"tolerance": None, "verification": None}))
        made_of = self._made_of.copy()
        for part in (verification, stated.encode()):
            made_of.update(hashlib.sha256(part).digest())
        return made_of.hexdigest()


def _digest(records: Iterable[Record]) -> bytes:
    """Of values, with their types and with which fields are stated.

    marshal writes these to bytes several times as fast as JSON. Version 2 of its format is the last in which equal
    values have equal bytes, whoever else refers to them.
    """
    found, values = hashlib.sha256(), map(_plain, records)
    while some := list(islice(values, _AT_ONCE)):
        found.update(marshal.dumps(some, 2))
    return found.digest()


def _plain(record: Record) -> tuple[Any, ...]:
    stated, fields = record.model_fields_set, record.__dict__
    return (type(record).__name__, *map(stated.__contains__, fields), *map(_value, fields.values()))


def _value(value: Any) -> Any:
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is tuple:
        return [_parts(item) if isinstance(item, Record) else item for item in value]
    return dict(value) if isinstance(value, Mapping) else value


def _parts(record: Record) -> tuple[Any, ...]:
    """Of a part of a record, which states all its fields."""
    return tuple(record.__dict__.values())


@cache
def _renderer() -> bytes:
    """A digest of the code that renders: of every file of prunebench, and of what is installed beside it.

    Of other distributions the folders' names tell the versions; to read what they hold would take seconds.
    """
    found = hashlib.sha256(repr((sys.version, sorted(_distributions()))).encode())
    root = Path(__file__).parents[1]
    for path in sorted(root.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            found.update(f"{path.relative_to(root)} {path.stat().st_size}\n".encode() + path.read_bytes())
    return found.digest()


def _distributions() -> Iterator[str]:
    for place in dict.fromkeys(sys.path):
        try:
            names = os.listdir(place or ".")
        except OSError:
            continue
        yield from (name for name in names if name.endswith((".dist-info", ".egg-info")))
