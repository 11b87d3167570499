"""Entries and seeds of a leaderboard's file, run in an empty store."""

from __future__ import annotations

import tempfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from prunebench import runner
from prunebench.api.board import Board, Group
from prunebench.api.details import Detail
from prunebench.api.errors import ConfigError, PrunebenchError, nearest
from prunebench.api.provenance import Provenance, Scalar
from prunebench.api.rows import Row
from prunebench.benchmark.bounds import PROCESSES
from prunebench.runner.components import text_of
from prunebench.runner.preparing import Options, Prepared
from prunebench.runner.work_left import Status
from prunebench.verification.coverage import Cell

Show = Callable[[Prepared, Status], Any]


@dataclass(frozen=True)
class Again:
    """What a second run gave, and where it ran."""

    rows: Sequence[Row]
    details: Sequence[Detail]
    environment: Mapping[str, Scalar]


def planned(source: Path, provenance: Provenance, store: Path, cells: Iterable[Cell] | None = None) -> Prepared:
    """The plan of a leaderboard's file, with the recorded profile and settings.

    What a stranger's settings say of how it is carried out (workers, executors, trackers) is left out: that is no part
    of a result, and the reader's own business.

    Args:
        cells: entries and seeds, each of these entries with each of these seeds; all that are recorded if None.
    Raises: PrunebenchError if there is none.
    """
    entries: tuple[str, ...] = ()
    seeds = provenance.seeds
    if cells is not None:
        known = list(cells)
        entries = tuple(dict.fromkeys(entry for entry, _ in known))
        seeds = tuple(dict.fromkeys(seed for _, seed in known))
    options = Options(source, provenance.profile, seeds, entries, provenance.settings, store)
    threads = provenance.environment.get("threads")
    execution: dict[str, Any] = {"keep": "none"}
    if isinstance(threads, int) and 1 <= threads <= PROCESSES:  # others round otherwise
        execution |= {"threads": threads}
    options = replace(options, settings=options.changes, execution=execution)
    try:
        return runner.prepare(options)
    except PrunebenchError:
        raise
    except Exception as error:  # settings are a stranger's
        raise PrunebenchError(f"{source}: it cannot be planned as recorded: {text_of(error)}") from error


def rerun(source: Path, provenance: Provenance, cells: Iterable[Cell], show: Show) -> Again:
    """Run entries and seeds of a benchmark file in an empty store.

    Args:
        show: given a plan, returns a display of its progress.
    """
    rows: list[Row] = []
    details: list[Detail] = []
    environment: Mapping[str, Scalar] = {}
    with tempfile.TemporaryDirectory(prefix="prunebench-verify-") as scratch:
        for group in _rectangles(cells):
            prepared = planned(source, provenance, Path(scratch) / "store", group)
            store = prepared.open_store()
            numbers = runner.status(prepared, store)
            display = show(prepared, numbers)
            try:
                outcome = runner.run(prepared, display, before=numbers)
            finally:
                display.close()
            rows += outcome.rows
            details += outcome.details
            environment = outcome.provenance.environment
    return Again(rows, details, environment)


def _rectangles(cells: Iterable[Cell]) -> list[list[Cell]]:
    """The cells in groups in which each entry has each seed: what one command can run."""
    entries: dict[int, list[str]] = defaultdict(list)
    for entry, seed in cells:
        entries[seed].append(entry)
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for seed, names in entries.items():
        groups[tuple(names)].append(seed)
    return [[(name, seed) for name in names for seed in seeds] for names, seeds in groups.items()]


def chosen_entries(entries: str, board: Board) -> tuple[str, ...]:
    """The entries that "all", "top3" or a list of names mean, in the order of the file or of the list.

    "top3" are the first three of each table, as it orders them; all of a table without an order.

    Raises: ConfigError for a name that is not there.
    """
    known = board.provenance.entries
    if entries == "all":
        return known
    if entries == "top3":
        best = {name for group in board.groups for name in _first(group, 3)}
        return tuple(name for name in known if name in best)
    names = tuple(entries.split(","))
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ConfigError([f'--entries: no entry "{name}" here.{nearest(name, known)}' for name in unknown])
    return names


def _first(group: Group, count: int) -> Sequence[str]:
    return group.order[:count] if group.shared else group.order
