"""Writes a leaderboard, and what reports leave beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from prunebench.api.board import Board
from prunebench.api.component import BoundComponent
from prunebench.api.errors import PrunebenchError
from prunebench.api.provenance import Provenance, VerificationRecord
from prunebench.api.results import Results
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import implements, run_manager
from prunebench.engine.collector import without_collector
from prunebench.results.details import details_text, parsed_details
from prunebench.results.folder import read_results, recorded
from prunebench.results.manifest import INDEX, MANIFEST, SOURCES, VERIFICATION, check_manifest, files_in, read_manifest
from prunebench.results.merge import merged
from prunebench.results.provenance import parsed_provenance, provenance_text, read_provenance
from prunebench.results.reading import sha256_of
from prunebench.results.rows import parsed_rows, rows_text
from prunebench.results.tolerance import RULES, rules_text, tolerance_of
from prunebench.results.verification import misfits, record_of, record_text
from prunebench.results.writing import (
    changed_since_interruption,
    complete,
    only_writer,
    remove_others,
    replacing,
    seal,
)
from prunebench.runner.components import Complain, call, described, on_standard_error, text_of
from prunebench.runner.out_folder import check_out, judged_in
from prunebench.runner.preparing import Prepared
from prunebench.runner.rendered import Rendered
from prunebench.runner.running import Outcome

_OF_ONE_RUN = ("finished", "wall_seconds", "runs", "steps")
_DERIVED = ("tolerance", "verification")

SOMETIMES = ("ranks.svg",)
"""Files that not every leaderboard has: one of an earlier report would belong to other numbers."""


class Written:
    """A leaderboard that was written: its results and its board, computed where somebody looks at them."""

    def __init__(self, folder: Path, results: Results) -> None:
        self._folder, self._results = folder, results

    @cached_property
    def results(self) -> Results:
        """With what is derived from them."""
        return completed(self._folder, self._results)

    @cached_property
    def board(self) -> Board:
        """Of the results, as it is shown."""
        from prunebench.leaderboard import board_of

        with without_collector():
            return board_of(self.results)


def write(prepared: Prepared, outcome: Outcome, out: Path, complain: Complain = on_standard_error) -> Written:
    """Write the leaderboard, then let the file's own reports write beside it; what was written.

    Files that are up to date are not rendered again. Where nothing was computed, and they differ in what this run says
    of itself alone, they stay as they are, and still say when and in what time their numbers were made.

    Args:
        complain: told of each report that failed or changed what is not its own; the others go on.
    Raises:
        PrunebenchError: the folder cannot be written; what was there before is unchanged.
    """
    computed = outcome.status.phases_missing or outcome.execution.done
    with only_writer(out):
        before = None if computed else _made_before(out, outcome.provenance)
        return _write(out, outcome.results, prepared.benchmark.also, complain, before)


def _made_before(folder: Path, provenance: Provenance) -> Provenance | None:
    """What a folder says of the run that made its numbers, if it says the same of all else."""
    try:
        before = read_provenance(folder)
    except PrunebenchError:
        return None
    own = {name: getattr(before, name) for name in (*_OF_ONE_RUN, *_DERIVED)}
    return before if provenance.model_copy(update=own) == before else None


def report_again(
    folder: Path,
    metric: str | None = None,
    against: str | None = None,
    *,
    also: bool = False,
    complain: Complain = on_standard_error,
) -> Results:
    """Write a leaderboard's tables and curves again from its results, which are returned.

    Args:
        metric, against: what to rank by and to compare with, in place of what was recorded.
        also: whether the reports that the provenance names act too. They may publish; a stranger's folder names them.
    Raises:
        PrunebenchError: the folder is not a leaderboard, or its results or its manifest were edited.
    """
    if not folder.is_dir():
        raise PrunebenchError(f"{folder}: not a leaderboard: it has no {MANIFEST}")
    with only_writer(folder):
        if not complete(folder):
            read_manifest(folder)
            edited = [line for line in check_manifest(folder) if line.split()[0] in SOURCES]
            if edited:
                raise PrunebenchError(
                    f"{folder}: {edited[0]}; a page is only written for results as they were recorded"
                )
        return _write_results(folder, recorded(folder), metric, against, also, complain)


def merge_folders(
    folders: Sequence[Path],
    out: Path,
    *,
    overwrite: bool = False,
    also: bool = False,
    complain: Complain = on_standard_error,
) -> Results:
    """Lay leaderboards of the same benchmark together; the results, which were written.

    Args:
        out: the folder to write. It may be one of those that are read.
        overwrite: whether what is in it may go, whatever it is.
        also: whether the reports that the folders name act too.
    Raises:
        PrunebenchError: one of them is no leaderboard, they are not of one benchmark, or something would be lost.
    """
    with only_writer(out):
        results = merged([read_results(folder) for folder in folders])
        check_out(out, judged_in(results.rows), overwrite)
        return _write_results(out, results, None, None, also, complain)


def record_verification(folder: Path, record: VerificationRecord) -> None:
    """Put a record beside a leaderboard, whose page quotes it from then on: both or, after an error, neither.

    Raises:
        PrunebenchError: it is not of the results that are there now, or the folder cannot be written.
    """
    from prunebench.leaderboard import board_of

    with only_writer(folder):
        results = read_results(folder)
        wrong = misfits(record, results)
        if wrong:
            raise PrunebenchError(
                f"{folder}: nothing was noted: its results are no longer those that were executed again ({wrong[0]}). "
                "Verify it again."
            )
        results = _with_verification(results, record)
        with without_collector():
            written = _replace(folder, results, board_of(results), record)
        Rendered(folder, results.rows, results.details).keep(results.provenance, written)
        seal(folder)


def write_results(
    folder: Path,
    results: Results,
    metric: str | None = None,
    against: str | None = None,
    *,
    also: bool = False,
    complain: Complain = on_standard_error,
) -> Results:
    """Write the leaderboard of results that were read from folders, with the arguments of `report_again`."""
    with only_writer(folder):
        return _write_results(folder, results, metric, against, also, complain)


def _write_results(
    folder: Path, results: Results, metric: str | None, against: str | None, also: bool, complain: Complain
) -> Results:
    report = results.provenance.report
    report = report.model_copy(update={"metric": metric or report.metric, "against": against or report.against})
    results = replace(results, provenance=results.provenance.model_copy(update={"report": report}))
    _write(folder, results, _reports(results) if also else (), complain)
    return results


def _reports(results: Results) -> list[BoundComponent]:
    """The components that a provenance names to report with. Raises PrunebenchError for what is none."""
    catalogue = Catalogue.load()
    uses = []
    for number, use in enumerate(results.provenance.also, start=1):
        try:
            report = catalogue.from_json(use)
            if not implements(report.build(), "prunebench_report"):
                raise PrunebenchError(f"{report} has no prunebench_report")
        except Exception as error:  # whatever stands there, and whatever its component makes of it
            raise PrunebenchError(f"provenance.json: also: report {number} is none: {text_of(error)}") from error
        uses.append(report)
    return uses


def _write(
    folder: Path,
    given: Results,
    also: Sequence[BoundComponent],
    complain: Complain,
    before: Provenance | None = None,
) -> Written:
    from prunebench.leaderboard import board_of

    reports_stay_away = given.provenance.also and not also
    for name in changed_since_interruption(folder) if reports_stay_away else ():
        complain(
            f"{folder / name}: new since writing the folder was interrupted. If a report wrote it, it may be half: "
            f"`prunebench report {folder} --also` writes it again."
        )
    with without_collector():
        rendered, written = Rendered(folder, given.rows, given.details), None
        if before is not None and (written := rendered.files(before, SOMETIMES)) is not None:
            given = replace(given, provenance=before)
        if written is None:
            written = rendered.files(given.provenance, SOMETIMES)
        made = Written(folder, given)
        if written is None:
            written = _replace(folder, made.results, made.board)
            rendered.keep(given.provenance, written)
    for use in also:
        results = made.results
        # A copy each, from what was written: a report cannot change what the next one is given.
        own = Results(
            results.name,
            parsed_rows(rows_text(results.rows).encode()),
            parsed_details(details_text(results.details).encode()),
            parsed_provenance(provenance_text(results.provenance).encode()),
            results.artifact,
        )
        try:
            manager = run_manager([use])
        except Exception as error:
            complain(f"{described(use)}: {text_of(error)}")
            continue
        call(use, manager, "prunebench_report", complain, results=own, board=board_of(own), folder=folder)
        for name in remove_others(folder, written):
            complain(f"{described(use)}: it left {name}, which is no file of its own and was removed")
        changed = [name for name, digest in written.items() if _sha256(folder / name) != digest]
        if changed:
            complain(f"{described(use)}: it changed {', '.join(changed)}; a report may only add files. Written again.")
            _replace(folder, results, made.board)
    seal(folder)
    return made


def completed(folder: Path, results: Results) -> Results:
    """The results with what is derived from them: the tolerance, and the record in the folder if it is of them."""
    return _with_verification(results, record_of(folder, results))


def _with_verification(results: Results, record: VerificationRecord | None) -> Results:
    tolerance = tolerance_of(results.rows, results.details, results.provenance.report.metric)
    derived = {"tolerance": tolerance.registered, "verification": record}
    return replace(results, provenance=results.provenance.model_copy(update=derived))


def render(folder: Path, results: Results, board: Board) -> None:
    """Write everything that is made from completed results into an empty folder, without a manifest."""
    from prunebench.leaderboard import write_leaderboard
    from prunebench.leaderboard.page import write_page

    report = results.provenance.report
    tolerance = tolerance_of(results.rows, results.details, report.metric)
    write_leaderboard(folder, results, board)
    write_page(folder / INDEX, results, board)
    rules = rules_text(tolerance, len(results.provenance.seeds), report.alpha)
    (folder / RULES).write_text(rules, encoding="utf-8", newline="\n")


def _replace(
    folder: Path, results: Results, board: Board, record: VerificationRecord | None = None
) -> Mapping[str, str]:
    """Write everything that is made from results, and a new record of a verification; the sha256 of what was made."""
    with replacing(folder, SOMETIMES) as aside:
        render(aside, results, board)
        written = {name: sha256_of(aside / name) for name in files_in(aside)}
        if record is not None:
            (aside / VERIFICATION).write_text(record_text(record), encoding="utf-8", newline="\n")
    return written


def _sha256(path: Path) -> str | None:
    try:
        return sha256_of(path)
    except (FileNotFoundError, PrunebenchError):
        return None
