"""Results in Python: rows as a table, the board, its picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from prunebench.api.board import Board
from prunebench.api.details import Detail
from prunebench.api.errors import PrunebenchError
from prunebench.api.provenance import Provenance
from prunebench.api.results import Results
from prunebench.api.rows import Row

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

    from prunebench.leaderboard.two_boards import Comparison

WIDTH = 80
"""Columns of the tables as text."""


@dataclass(frozen=True, eq=False)
class Leaderboard:
    """What a run gave, or what the folder of a leaderboard holds.

    Args:
        results: rows, details and provenance, as docs/results.md describes them.
        failed: trials that failed in this run, "ENTRY, MODEL, DATA, seed N", with the error.
    """

    results: Results
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The benchmark's name."""
        return self.results.name

    @property
    def rows(self) -> Sequence[Row]:
        """The measurements."""
        return self.results.rows

    @property
    def details(self) -> Sequence[Detail]:
        """The curve and layers of each judged ticket, the figures of each analysis."""
        return self.results.details

    @property
    def provenance(self) -> Provenance:
        """Where the numbers come from."""
        return self.results.provenance

    def to_pandas(self) -> pandas.DataFrame:
        """The rows as a data frame, one measurement a line, the columns of `results.jsonl`.

        Raises: PrunebenchError without pandas.
        """
        try:
            import pandas
        except ImportError:
            raise PrunebenchError('to_pandas() needs pandas: pip install "prunebench[notebook]"') from None
        fields = list(Row.model_fields)
        return pandas.DataFrame([{name: getattr(row, name) for name in fields} for row in self.rows], columns=fields)

    def board(self, metric: str | None = None, against: str | None = None) -> Board:
        """Cells, intervals, ranks and differences, computed as the page shows them.

        Args:
            metric, against: what to rank by and to compare with, in place of what the file says.
        Raises: PrunebenchError for a metric or an entry that there is not.
        """
        if metric is None and against is None:
            return self._board
        from prunebench.leaderboard.build import board_of

        return board_of(self._with(metric, against))

    @cached_property
    def _board(self) -> Board:
        from prunebench.leaderboard.build import board_of

        return board_of(self.results)

    def _with(self, metric: str | None, against: str | None) -> Results:
        from dataclasses import replace

        report = self.provenance.report
        changed = report.model_copy(update={"metric": metric or report.metric, "against": against or report.against})
        return replace(self.results, provenance=self.provenance.model_copy(update={"report": changed}))

    def plot(self, metric: str | None = None) -> Figure:
        """The curves of the page as a matplotlib figure: value over density, with intervals over seeds.

        As the last line of a notebook's cell it is shown below it.

        Args:
            metric: in place of what the file ranks by.
        Raises: PrunebenchError for a metric that there is not.
        """
        from prunebench.api.report.curves import curves_figure
        from prunebench.library.pictures import shown_in_notebooks

        figure = curves_figure(self._board if metric is None else self._board.of(metric))
        return shown_in_notebooks(figure)

    def write(self, folder: str | Path) -> Path:
        """Write the leaderboard's folder: tables, page, pictures, results and manifest. Returns the folder."""
        from prunebench.runner.publishing import write_results

        write_results(Path(folder), self.results)
        return Path(folder)

    def __str__(self) -> str:
        """The main tables, as `prunebench run` prints them."""
        from prunebench.leaderboard.terminal import terminal_tables

        return terminal_tables(self._board, WIDTH)

    def __repr__(self) -> str:
        return f"Leaderboard({self.name!r}: {len(self.rows):,} rows)"

    def _repr_html_(self) -> str:
        from html import escape

        return f"<pre>{escape(str(self))}</pre>"


def load_results(place: str | Path) -> Leaderboard:
    """A committed leaderboard, read as data of a stranger: nothing in it is run or believed beyond its types.

    Args:
        place: its folder, or the address of http or https at which a web server shows the folder's files.
    Raises:
        PrunebenchError: no leaderboard is there, or a file of it was edited or is damaged.
    """
    from prunebench.results.remote import results_at

    return Leaderboard(results_at(place))


def compare(first: Leaderboard, second: Leaderboard, metric: str | None = None) -> Comparison:
    """The second leaderboard against the first: paired differences, and what differs in how they were made.

    Args:
        metric: "SPLIT/NAME"; what the first one ranks by if None.
    Raises:
        PrunebenchError: one of them does not have the metric, their axes differ, or they share no model and data set.
    """
    from prunebench.leaderboard.two_boards import compared

    return compared(first.results, second.results, metric)
