"""What a run gave: what reports write from. No torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from prunebench.api.details import Detail
from prunebench.api.errors import PrunebenchError
from prunebench.api.positions import Position
from prunebench.api.provenance import Provenance
from prunebench.api.rows import Row, RunId


@dataclass(frozen=True)
class Results:
    """What a run gave: what reports write from.

    Args:
        name: the benchmark's name.
        rows: the lines of results.jsonl.
        details: the lines of details.jsonl: curve and layers of each evaluated ticket, figures of each analysis.
        provenance: what provenance.json holds.
        artifact: the files of an artifact by its address, from the store of the run; None where results are read
            from a folder.
    """

    name: str
    rows: Sequence[Row]
    details: Sequence[Detail]
    provenance: Provenance
    artifact: Callable[[str], Mapping[str, bytes]] | None = None


def final_rows(rows: Iterable[Row], metric: str | None = None) -> list[Row]:
    """Of each judged run its row at the last position, which is what it is judged by.

    The best position would choose by the test set. Of a row that stands twice the later one counts.

    Args:
        metric: "SPLIT/NAME"; a row of each metric if None.
    Returns: rows of the role "evaluate", whatever their outcome, in the order in which their runs come first.
    Raises: PrunebenchError if positions of one run are in different units, or a position cannot be read.
    """
    last: dict[tuple[RunId, str], Row] = {}
    for row in rows:
        if row.role != "evaluate" or metric not in (None, row.name):
            continue
        before = last.setdefault((row.run, row.name), row)
        if before is not row and not _is_earlier(row, before):
            last[row.run, row.name] = row
    return list(last.values())


def place_in_run(row: Row) -> tuple[str, Fraction]:
    """Where in its run a row was measured: unit and amount; ("", 0) where that has no meaning.

    Raises: PrunebenchError if the position cannot be read.
    """
    if not row.position:
        return "", Fraction(0)
    try:
        position = Position.parse(row.position)
    except ValueError as error:
        raise PrunebenchError(f'entry "{row.entry}": {error}') from error
    return position.unit, position.amount


def _is_earlier(row: Row, other: Row) -> bool:
    (unit, amount), (unit_of_other, amount_of_other) = place_in_run(row), place_in_run(other)
    if unit != unit_of_other:
        raise PrunebenchError(
            f'entry "{row.entry}": seed {row.seed}: positions in different units ({row.position!r} and '
            f"{other.position!r}) have no last one"
        )
    return amount < amount_of_other
