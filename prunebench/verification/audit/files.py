"""Whether a leaderboard's files are what its results give, byte for byte; and which files nothing gives."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from prunebench.api.errors import PrunebenchError
from prunebench.api.results import Results
from prunebench.results.details import DETAILS, details_text
from prunebench.results.manifest import (
    INDEX,
    SOURCES,
    UNLISTED,
    VERIFICATION,
    files_in,
    foreign_files,
    hidden_in,
    irregular_in,
    read_manifest,
)
from prunebench.results.provenance import PROVENANCE, provenance_text
from prunebench.results.reading import content_of
from prunebench.results.rows import RESULTS, rows_text
from prunebench.results.verification import misfits, read_record
from prunebench.runner.publishing import SOMETIMES
from prunebench.verification.audit.wording import listed

_MADE_WITH = {".svg": "matplotlib", ".html": "plotly", ".parquet": "pyarrow"}
"""Packages whose version shows in the bytes of a file."""


def other_files(folder: Path, results: Results, made: Path) -> Iterator[str]:
    """The files that are not what the results give, a sentence each.

    Args:
        results: completed with what is derived from them.
        made: a folder with what they give.
    """
    sources = {
        RESULTS: rows_text(results.rows),
        DETAILS: details_text(results.details),
        PROVENANCE: provenance_text(results.provenance),
    }
    for name, text in sources.items():
        if content_of(folder / name) != text.encode():
            yield f"{name} states what does not follow from the rest, or is not written as prunebench writes it"
    for name in files_in(made):
        if name not in sources:
            yield from _compared(folder, made, name)
    for name in SOMETIMES:
        if (folder / name).exists() and not (made / name).exists():
            yield f"{name} is not what the results give: they give none"


def _compared(folder: Path, made: Path, name: str) -> Iterator[str]:
    try:
        same = content_of(folder / name) == content_of(made / name)
    except FileNotFoundError:
        if name != INDEX:  # the page need not be there
            yield f"{name} is missing"
        return
    if not same:
        package = _MADE_WITH.get(Path(name).suffix)
        yield f"{name} is not what the results give" + (f" with the installed version of {package}" if package else "")


def unproven_files(folder: Path, results: Results, made: Path) -> Iterator[str]:
    """The files that nothing derives, a sentence each; with the arguments of `other_files`."""
    derived = {*files_in(made), *SOURCES, *UNLISTED}
    authored = (name for name in read_manifest(folder).files if name not in derived)
    yield from listed("files of the author, which are not made from the results", authored)
    yield from listed("files that the manifest does not list", foreign_files(folder))
    yield from listed("hidden files and folders, which no manifest lists", hidden_in(folder))
    yield from listed("links and devices, which nothing reads", irregular_in(folder))
    try:
        record = read_record(folder)
    except PrunebenchError as error:
        yield f"{VERIFICATION} is no record: {str(error).removeprefix(f'{folder}/')}"
        return
    if record is not None:
        wrong = "; ".join(misfits(record, results))
        yield (
            f"{VERIFICATION} cannot be of these results: {wrong}"
            if wrong
            else (f"{VERIFICATION} is its author's claim of a second run, on which this verification does not rest")
        )
