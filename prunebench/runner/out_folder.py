"""Where results may be written, told before anything trains: what is there is never lost without being asked for."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TypeAlias

from prunebench.api.errors import PrunebenchError
from prunebench.api.rows import Row, TrialId
from prunebench.engine.collector import without_collector
from prunebench.plan.trial import Plan
from prunebench.results.manifest import MANIFEST, SOURCES, UNFINISHED, files_in
from prunebench.results.provenance import read_provenance
from prunebench.results.reading import reason
from prunebench.results.rows import read_rows
from prunebench.results.writing import complete

Judged: TypeAlias = "tuple[TrialId, int | None, int, str]"
"""(trial, round, draw, key) of a judged ticket; of an analysis round and draw are those of the whole trial."""

EXAMPLES = 3


def expanded(path: Path | str) -> Path:
    """A path as a person writes it, with `~` for the home folder, as a shell has it.

    Raises: PrunebenchError if there is no such home folder.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise PrunebenchError(f"{path}: {error}") from error


def check_writable(folder: Path) -> None:
    """Try to make a folder and to write into it. Nothing of that stays.

    Raises: PrunebenchError if that cannot be done.
    """
    new: list[Path] = []
    try:
        for place in (folder, *folder.parents):
            if place.exists():
                break
            new.append(place)
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, prefix=".tried-") as file:
            file.write(b"prunebench")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        raise PrunebenchError(
            f"{folder}: cannot be written: {reason(error)}. Nothing was run; choose another folder."
        ) from error
    finally:
        with suppress(OSError):  # not empty: somebody else began to use it
            for place in new:
                place.rmdir()


def check_out(folder: Path, judged: Iterable[Judged], overwrite: bool = False) -> None:
    """Nothing if a leaderboard may be written into a folder.

    It may if the folder can be written, and holds nothing, or a leaderboard whose every judged ticket and analysis is
    among the new ones, under the same key. Failed ones may be replaced.

    Args:
        judged: what the new leaderboard will have.
        overwrite: whether the user said that what is there may go.
    Raises:
        PrunebenchError: it may not; says what would be lost, and what to do.
    """
    check_writable(folder)
    if overwrite or not folder.exists():
        return
    if not any((folder / name).exists() for name in (*SOURCES, MANIFEST, UNFINISHED)):
        others = files_in(folder)
        if others:
            raise PrunebenchError(
                f"{folder}: it is no leaderboard and holds files ({_some(others)}), which would be overwritten or "
                "become part of one. Choose another folder with --out, or add --overwrite."
            )
        return
    try:
        complete(folder)
        with without_collector():
            name, rows = read_provenance(folder).report.name, read_rows(folder)
    except PrunebenchError as error:
        raise PrunebenchError(f"{error}\n{folder}: choose another folder with --out, or add --overwrite.") from error
    lost = _lost(rows, judged)
    if lost:
        raise PrunebenchError(
            f'{folder}: it holds results of "{name}" that this run does not have, or makes by another recipe or '
            f"version: {len(lost):,} of its {len(_of(rows)):,} judged tickets and analyses ({_some(lost)}). Choose "
            "another folder with --out (`prunebench merge` lays leaderboards of one benchmark together), or add "
            "--overwrite."
        )


def judged_by(plan: Plan) -> list[Judged]:
    """The tickets and analyses of a plan."""
    found: list[Judged] = []
    for trial in plan.trials:
        name = (trial.entry, trial.model, trial.data, trial.seed)
        found += [(name, one.round, one.draw, one.run.key) for one in trial.evaluations]
        found += [(name, None, 0, ref.key) for _, ref in trial.analyses]
    return found


def judged_in(rows: Iterable[Row]) -> list[Judged]:
    """The tickets and analyses that rows are of."""
    return list(_of(rows))


def _of(rows: Iterable[Row]) -> Mapping[Judged, Row]:
    return {
        (row.trial, row.round, row.draw, row.key) if row.role == "evaluate" else (row.trial, None, 0, row.key): row
        for row in rows
        if row.role != "find" and row.outcome != "failed"
    }


def _lost(rows: Iterable[Row], judged: Iterable[Judged]) -> list[str]:
    there = set(judged)
    return [
        f'entry "{row.entry}", seed {row.seed}' + ("" if row.round is None else f", round {row.round}")
        for one, row in _of(rows).items()
        if one not in there
    ]


def _some(names: Iterable[str]) -> str:
    known = list(dict.fromkeys(names))
    return "; ".join(known[:EXAMPLES]) + ("; ..." if len(known) > EXAMPLES else "")
