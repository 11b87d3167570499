"""Forgeries of a small real leaderboard, by somebody who can write every file and make every digest fit."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from quiet import quietly

from prunebench.api.details import EvaluationDetail
from prunebench.api.errors import PrunebenchError
from prunebench.api.provenance import Registered, VerificationRecord
from prunebench.api.results import Results, final_rows
from prunebench.api.rows import Row
from prunebench.commands.main import main
from prunebench.leaderboard import board_of
from prunebench.results.details import details_text
from prunebench.results.folder import read_results
from prunebench.results.rows import rows_text
from prunebench.results.verification import record_text, sha256_of_text
from prunebench.results.writing import seal
from prunebench.runner.publishing import render
from prunebench.verification.comparison import compare
from prunebench.verification.verify import verify

Forgery = Callable[[Path], None]

EXAMPLES = 1_000
"""Test images of mnist5k."""


def publish(board: Path, results: Results) -> None:
    """Every file as prunebench would write it for these results, whatever they say of themselves."""
    render(board, results, board_of(results))
    seal(board)


def changed(board: Path, drop: Callable[[Any], bool]) -> Results:
    """The results without the rows and details that are dropped."""
    results = read_results(board)
    rows = [row for row in results.rows if not drop(row)]
    return replace(results, rows=rows, details=[line for line in results.details if not drop(line)])


def with_provenance(results: Results, report: dict[str, Any] | None = None, **fields: Any) -> Results:
    provenance = results.provenance
    if report is not None:
        fields["report"] = provenance.report.model_copy(update=report)
    return replace(results, provenance=provenance.model_copy(update=fields))


def with_more_right(correct: str, by: float) -> str:
    """So much more (or less) accuracy, in test examples that are right."""
    bits = [int(bit) for byte in base64.b64decode(correct) for bit in f"{byte:08b}"]
    places = [place for place, bit in enumerate(bits) if bit == (by < 0)]
    for place in places[: abs(round(by * EXAMPLES))]:
        bits[place] = 1 - bits[place]
    return base64.b64encode(bytes(int("".join(map(str, bits[i : i + 8])), 2) for i in range(0, len(bits), 8))).decode()


def better(results: Results, by: float) -> Results:
    """The last accuracies of imp, better, in the curves and the examples that are right too."""
    by = round(by * EXAMPLES) / EXAMPLES
    last = {(row.run, row.position) for row in final_rows(results.rows, "test/accuracy") if row.entry == "imp"}
    names = {"test/accuracy", "test/early_stop_accuracy"}  # the latter where early stopping goes to the end
    rows = [
        row.model_copy(update={"value": (row.value or 0) + by})
        if row.name in names and (row.run, row.position) in last
        else row
        for row in results.rows
    ]
    details = []
    for line in results.details:
        if isinstance(line, EvaluationDetail) and line.entry == "imp":
            *curve, end = line.curve
            values = {**end.values, "test/accuracy": (end.values["test/accuracy"] or 0) + by}
            curve = (*curve, end.model_copy(update={"values": values}))
            line = line.model_copy(update={"curve": curve, "correct": with_more_right(line.correct or "", by)})
        details.append(line)
    return replace(results, rows=rows, details=details)


def elsewhere(results: Results) -> Results:
    """As if it had been made in another environment, so that bits need not agree."""
    return with_provenance(results, environment={**results.provenance.environment, "torch": "9.9"})


def five_points_with_a_tolerance_of_one(board: Path) -> None:
    forged = elsewhere(better(read_results(board), 0.05))
    wide = Registered(metric="test/accuracy", deviation=0.2, values=15, floor=0.0, allowed=1.0)
    publish(board, with_provenance(forged, tolerance=wide))


def many_points_elsewhere_with_the_right_tolerance(board: Path) -> None:
    from prunebench.runner.publishing import completed

    publish(board, completed(board, elsewhere(better(read_results(board), -0.4))))


def five_points_in_the_recorded_environment(board: Path) -> None:
    from prunebench.runner.publishing import completed

    publish(board, completed(board, better(read_results(board), 0.05)))


def another_metric(board: Path) -> None:
    publish(board, with_provenance(elsewhere(better(read_results(board), 0.05)), {"metric": "test/loss"}))


def an_entry_that_provenance_omits(board: Path) -> None:
    results = read_results(board)
    mine = [row.model_copy(update={"entry": "mine", "value": 0.99}) for row in results.rows if row.entry == "imp"]
    publish(board, replace(results, rows=[*results.rows, *mine]))


def an_entry_that_the_file_omits(board: Path) -> None:
    results = read_results(board)
    mine = [row.model_copy(update={"entry": "mine"}) for row in results.rows if row.entry == "imp"]
    entries = (*results.provenance.entries, "mine")
    publish(board, with_provenance(replace(results, rows=[*results.rows, *mine]), entries=entries))


def seeds_that_provenance_omits(board: Path) -> None:
    results = read_results(board)
    more = [row.model_copy(update={"seed": 7, "value": 0.99}) for row in results.rows if row.entry == "imp"]
    publish(board, replace(results, rows=[*results.rows, *more]))


def duplicate_rows_the_true_one_last(board: Path) -> None:
    results = read_results(board)
    rows = [copy for row in results.rows for copy in (row.model_copy(update={"position": row.position}), row)]
    (board / "results.jsonl").write_text(rows_text(rows))
    seal(board)


def a_competitor_dropped(board: Path) -> None:
    results = changed(board, drop=lambda line: line.entry == "random")
    publish(board, with_provenance(results, entries=("dense", "imp")))


def bad_seeds_dropped(board: Path) -> None:
    publish(board, with_provenance(changed(board, drop=lambda line: line.seed == 1), seeds=(0, 2)))


def a_seed_that_is_there_said_to_be_missing(board: Path) -> None:
    publish(board, with_provenance(read_results(board), missing_seeds=(2,)))


def bad_seeds_of_one_entry_dropped(board: Path) -> None:
    publish(board, changed(board, drop=lambda line: line.entry == "imp" and line.seed == 1))


def a_bad_round_dropped(board: Path) -> None:
    publish(board, changed(board, drop=lambda line: line.entry == "imp" and getattr(line, "round", 0) == 2))


def edited(name: str, old: bytes, new: bytes) -> Forgery:
    def forge(board: Path) -> None:
        content = (board / name).read_bytes()
        assert old in content
        (board / name).write_bytes(content.replace(old, new))
        seal(board)

    return forge


def told(**report: Any) -> Forgery:
    return lambda board: publish(board, with_provenance(read_results(board), report))


def a_row_that_its_curve_denies(board: Path) -> None:
    results = better(read_results(board), 0.05)
    publish(board, replace(results, details=read_results(board).details))


def the_lower_the_better(board: Path) -> None:
    results = read_results(board)
    metrics = dict(results.provenance.metrics)
    metrics["accuracy"] = metrics["accuracy"].model_copy(update={"higher": False})
    publish(board, with_provenance(results, metrics=metrics))


def of_entry(name: str, change: Callable[[Row], Row]) -> Forgery:
    """Rows of one entry changed; and made elsewhere, where not every bit is held."""

    def forge(board: Path) -> None:
        from prunebench.runner.publishing import completed

        results = read_results(board)
        rows = [change(row) if row.entry == name else row for row in results.rows]
        publish(board, completed(board, elsewhere(replace(results, rows=rows))))

    return forge


def of_details(**fields: Callable[[EvaluationDetail], object]) -> Forgery:
    def forge(board: Path) -> None:
        results = read_results(board)
        details = [
            line.model_copy(update={name: made(line) for name, made in fields.items()})
            if isinstance(line, EvaluationDetail) and line.entry == "imp"
            else line
            for line in results.details
        ]
        publish(board, elsewhere(replace(results, details=details)))

    return forge


def without_its_cost(row: Row) -> Row:
    fields = row.to_json()
    del fields["density_macs"]
    return Row.model_validate_json(json.dumps(fields))


def more_early_stops(board: Path) -> None:
    from prunebench.runner.publishing import completed

    results = read_results(board)
    better = [
        row.model_copy(update={"value": 0.99, "position": "29it"})
        for row in results.rows
        if row.entry == "imp" and row.metric == "early_stop_accuracy"
    ]
    publish(board, completed(board, elsewhere(replace(results, rows=[*better, *results.rows]))))


def of_rows(change: Callable[[Row], Row | None]) -> Forgery:
    """Every row changed, or dropped; what the results imply of themselves fits, and the environment is another."""

    def forge(board: Path) -> None:
        from prunebench.runner.publishing import completed

        results = read_results(board)
        rows = [made for row in results.rows if (made := change(row)) is not None]
        publish(board, completed(board, elsewhere(replace(results, rows=rows))))

    return forge


def early_stops_that_are_better(row: Row) -> Row:
    return row.model_copy(update={"value": 0.99}) if row.name == "test/early_stop_accuracy" else row


def a_second_twin(board: Path) -> None:
    results = read_results(board)
    twins = [row.model_copy(update={"twin": 1}) for row in results.rows if row.entry == "imp"]
    publish(board, elsewhere(replace(results, rows=[*results.rows, *twins])))


def a_competitor_that_failed(board: Path) -> None:
    """A seed of a competitor is said to have failed, without a word on why."""

    def broken(row: Row) -> Row:
        spoilt = row.entry == "random" and row.seed == 1 and row.round == 2
        return row.model_copy(update={"value": None, "outcome": "failed"}) if spoilt else row

    results = read_results(board)
    rows = [broken(row) for row in results.rows if not row.metric.startswith("early") or broken(row) is row]
    details = [
        line.model_copy(update={"curve": (), "correct": None})
        if isinstance(line, EvaluationDetail) and (line.entry, line.seed, line.round) == ("random", 1, 2)
        else line
        for line in results.details
    ]
    publish(board, elsewhere(replace(results, rows=rows, details=details)))


def a_competitor_without_a_ticket(board: Path) -> None:
    """A row that says of a competitor what is said of entries that can take no part."""
    results = read_results(board)
    first = next(row for row in results.rows if row.entry == "random")
    lost = {"role": "find", "round": 1, "metric": "", "split": "", "unit": "", "position": "", "value": None}
    lost |= {"outcome": "failed", "density": None, "density_all": None, "density_macs": None, "key": ""}
    publish(board, elsewhere(replace(results, rows=[*results.rows, first.model_copy(update=lost)])))


def a_competitor_that_is_said_not_to_apply(board: Path) -> None:
    """A competitor's rows go, and a row says instead that its method does not apply to the network."""
    results = read_results(board)
    first = next(row for row in results.rows if row.entry == "random")
    said = {"role": "find", "round": 1, "metric": "", "split": "", "unit": "", "position": "", "value": None, "key": ""}
    said |= {"outcome": "inapplicable", "note": "no batch norm"}
    said |= dict.fromkeys(("density", "density_all", "density_macs"))
    rows = [row for row in results.rows if row.entry != "random"]
    publish(board, elsewhere(replace(results, rows=[*rows, first.model_copy(update=said)])))


def numbers_of_another_analysis(board: Path) -> None:
    results = read_results(board)
    first = next(row for row in results.rows if row.entry == "imp" and row.round == 1)
    named = {"role": "analyse", "metric": "cost/latency_share", "split": "", "unit": "", "position": "", "value": 0.01}
    publish(board, elsewhere(replace(results, rows=[*results.rows, first.model_copy(update=named)])))


def forged(**fields: object) -> Callable[[Row], Row]:
    return lambda row: row.model_copy(update=fields)


BARE = {"source": "Frankle & Carbin 2019", "claim": "imp beats random", "better": "imp", "worse": "random"}
"""The expectation of the file without the density at which it is judged."""

PUBLISHED = {"source": "Me 2026", "claim": "imp wins", "better": "imp", "worse": "random"}

FOUND: dict[str, tuple[Forgery, str]] = {
    "+5 points, another environment, tolerance of 1": (
        five_points_with_a_tolerance_of_one,
        "provenance.json states what does not follow from the rest",
    ),
    "-40 points, another environment, true tolerance": (
        many_points_elsewhere_with_the_right_tolerance,
        "is held against a tolerance",
    ),
    "+5 points, every file made to fit": (five_points_in_the_recorded_environment, "do not come from this file"),
    "+5 points, another metric": (another_metric, 'report.metric is "test/loss", and in the file "test/accuracy"'),
    "an entry that provenance omits": (
        an_entry_that_provenance_omits,
        'entries in results.jsonl that provenance.json does not have (1): "mine"',
    ),
    "an entry that the file omits": (
        an_entry_that_the_file_omits,
        'entries in provenance.json that the file does not have (1): "mine"',
    ),
    "rows of seeds that provenance omits": (
        seeds_that_provenance_omits,
        "seeds in results.jsonl that provenance.json does not have (1): 7",
    ),
    "duplicate rows": (duplicate_rows_the_true_one_last, "measurements on more than one line"),
    "a competitor dropped": (a_competitor_dropped, 'entries of the file that provenance.json lacks (1): "random"'),
    "bad seeds dropped": (bad_seeds_dropped, "seeds of the file that provenance.json lacks (1): 1"),
    "a seed that is there said to be missing": (
        a_seed_that_is_there_said_to_be_missing,
        "seeds that provenance.json says are missing, and are not (1): 2",
    ),
    "bad seeds of one entry dropped": (
        bad_seeds_of_one_entry_dropped,
        "numbers of the file's tickets that results.jsonl lacks",
    ),
    "a bad round dropped": (a_bad_round_dropped, "numbers of the file's tickets that results.jsonl lacks"),
    "a row that its curve denies": (a_row_that_its_curve_denies, "do not stand in the curves"),
    "README": (edited("README.md", b"imp", b"best"), "README.md is not what the results give"),
    "CSV": (edited("results.csv", b",0.", b",1."), "results.csv is not what the results give"),
    "LaTeX": (edited("table.tex", b"imp", b"best"), "table.tex is not what the results give"),
    "SVG": (edited("curves.svg", b"<g", b"<g "), "curves.svg is not what the results give"),
    "rules": (edited("rules.md", b"95%", b"50%"), "rules.md is not what the results give"),
    "page": (edited("index.html", b"<script>", b"<script> "), "index.html is not what the results give"),
    "another claim": (told(claim="imp is the best of all"), 'report.claim is "imp is the best of all"'),
    "another reference": (told(against="random"), 'report.against is "random", and in the file "imp"'),
    "another level": (told(alpha=0.5), "report.alpha is 0.5, and in the file 0.05"),
    "a metric that is better when lower": (
        the_lower_the_better,
        "reads in another way than the task (3): test/accuracy",
    ),
    "a competitor without its cost": (of_entry("random", without_its_cost), "only some rows have the field"),
    "a smaller network elsewhere": (of_entry("imp", forged(density_macs=0.01)), "numbers are outside"),
    "fewer parameters elsewhere": (of_entry("imp", forged(density_all=0.01)), "densities that do not follow"),
    "another unit elsewhere": (of_entry("imp", forged(unit="nats")), "of other facts than the second run's (unit)"),
    "no promise of bits elsewhere": (
        of_entry("imp", forged(exact=False)),
        "of other facts than the second run's (exact)",
    ),
    "early stops added elsewhere": (more_early_stops, "measurements on more than one line"),
    "examples that are all right": (
        of_details(correct=lambda line: "/" * len(line.correct or "")),
        "test examples that do not make up test/accuracy",
    ),
    "examples of no network": (of_details(correct=lambda line: "?"), "test examples that do not make up"),
    "layers that keep one unit": (
        of_details(layers=lambda line: tuple(one.model_copy(update={"kept": 1}) for one in line.layers)),
        "layers that do not make up the density",
    ),
    "layers of another network": (
        of_details(layers=lambda line: tuple(one.model_copy(update={"name": "conv"}) for one in line.layers)),
        "details with other layers than the network's",
    ),
    "an expectation added": (told(expectations=(PUBLISHED,)), "report.expectations are not those of the file"),
    "an expectation that says less": (told(expectations=(BARE,)), "report.expectations are not those of the file"),
    "curves with more points elsewhere": (
        of_details(curve=lambda line: (line.curve[0].model_copy(update={"iteration": 0}), *line.curve[-1:])),
        "curves without all points and metrics that the file measures",
    ),
    "no cost in any row": (
        of_rows(lambda row: without_its_cost(row)),
        "no row has the field density_macs, which this version of prunebench writes",
    ),
    "no cost of any network": (of_rows(forged(density_macs=None)), "tickets without a density"),
    "another cost in the last rows alone": (
        of_rows(lambda row: row.model_copy(update={"density_macs": 0.01}) if row.name == "test/accuracy" else row),
        "tickets whose rows contradict one another",
    ),
    "a note elsewhere": (
        of_entry("imp", forged(note="Approved by the authors")),
        "of other facts than the second run's (note)",
    ),
    "layers that a score is said to know nothing of": (
        of_entry("imp", forged(unscored_layers=("fc1",))),
        "of other facts than the second run's (unscored_layers)",
    ),
    "layers that are said to be empty": (of_entry("imp", forged(empty_layers=2)), "another number of empty layers"),
    "better early stops elsewhere": (of_rows(early_stops_that_are_better), "early stop is not that of their curve"),
    "no early stops": (
        of_rows(lambda row: None if row.metric.startswith("early_stop") else row),
        "early stop is not that of their curve",
    ),
    "no number of one metric": (
        of_rows(lambda row: None if row.name == "test/loss" else row),
        "numbers of the file's tickets that results.jsonl lacks",
    ),
    "an outcome that its value denies": (
        of_rows(lambda row: row.model_copy(update={"outcome": "diverged"}) if row.entry == "random" else row),
        "whose outcome and value contradict each other",
    ),
    "a second twin": (a_second_twin, "numbers that the file does not measure"),
    "a competitor that failed without a reason": (a_competitor_that_failed, "failed without a note that says why"),
    "a competitor without a ticket": (a_competitor_without_a_ticket, "are said to have no ticket, and can take part"),
    "a competitor that is said not to apply": (
        a_competitor_that_is_said_not_to_apply,
        "are said to have no ticket, and can take part",
    ),
    "numbers of an analysis that was not run": (
        numbers_of_another_analysis,
        "rows with a key that this version does not plan for them",
    ),
    "addresses of other artifacts": (
        of_details(artifacts=lambda line: {**line.artifacts, "weights": "0" * 64}),
        "details with another key, window or address than the file plans",
    ),
    "a shorter run than the file's": (
        of_details(stop=lambda line: line.stop - 1),
        "details with another key, window or address than the file plans",
    ),
    "no examples that are right": (
        of_details(correct=lambda line: None),
        "details without the test examples that are right, which others have",
    ),
    "an environment without its threads": (
        lambda board: publish(board, with_provenance(read_results(board), environment={"torch": "9.9"})),
        "fields that environment lacks (3): device; threads; instructions",
    ),
    "no machine": (
        lambda board: publish(board, with_provenance(read_results(board), hardware={})),
        "fields that hardware lacks (3): cores; cpu; device",
    ),
    "a GPU that the environment does not know": (
        lambda board: publish(
            board,
            with_provenance(
                read_results(board), hardware={**read_results(board).provenance.hardware, "device": "NVIDIA H200"}
            ),
        ),
        "hardware.device is not that of the environment",
    ),
    "a day that is none": (
        lambda board: publish(board, with_provenance(read_results(board), finished="")),
        "finished is",
    ),
    "an environment under another's id": (
        lambda board: publish(
            board,
            with_provenance(
                read_results(board), environments={"0" * 16: dict(read_results(board).provenance.environment)}
            ),
        ),
        "environments under an id that is not of their fields",
    ),
    "metrics that nothing says how to read": (
        lambda board: publish(board, with_provenance(read_results(board), metrics={})),
        "it does not say how metrics read",
    ),
    "a field that stands twice": (
        edited("results.jsonl", b'{"data"', b'{"seed":0,"data"'),
        "results.jsonl states what does not follow from the rest, or is not written as prunebench writes it",
    ),
}


def test_the_honest_leaderboard_holds(board: Path) -> None:
    found = verify(board, show=quietly)
    assert found.holds, found.verdict
    assert found.coverage.tier == "re-executed"
    assert found.verdict.splitlines()[1].startswith("Re-executed: ")
    assert found.remarks == ("hardware, wall time, date and counts of work are its author's word",)


@pytest.mark.parametrize("name", FOUND)
def test_a_forgery_does_not_hold(board: Path, name: str) -> None:
    forge, finding = FOUND[name]
    forge(board)
    found = verify(board, entries="imp", seeds=1, show=quietly)
    assert not found.holds
    assert finding in found.verdict


def timed(row: Row, **fields: object) -> Row:
    return row.model_copy(update={"exact": False, **fields})


@pytest.mark.parametrize(
    "fields", [{"unit": "s"}, {"outcome": "failed"}, {"density_macs": 0.1}, {"value": None}, {"note": "fast"}]
)
def test_of_what_a_clock_said_the_value_alone_is_free(board: Path, fields: dict[str, object]) -> None:
    rows = [row for row in read_results(board).rows if row.entry == "imp"]
    here = {"torch": "1"}
    honest = compare(
        [timed(row) for row in rows], [timed(row, value=0.5) for row in rows], here, here, metric="test/accuracy"
    )
    assert honest.holds
    assert f"{len(rows)} others are what a clock said, and nothing holds them" in honest.verdict
    forged_rows = [timed(row, **fields) for row in rows]
    found = compare(forged_rows, [timed(row) for row in rows], here, here, metric="test/accuracy")
    assert not found.holds


def test_one_seed_elsewhere_is_open_and_a_forged_fact_is_not(board: Path) -> None:
    rows = [row for row in read_results(board).rows if row.entry == "imp" and row.seed == 0]
    noted = [row.model_copy(update={"note": "fast"}) for row in rows]
    found = compare(noted, rows, {"torch": "1"}, {"torch": "2"}, metric="test/accuracy")
    assert found.verdict.startswith("It does not hold: ")
    assert "(note), which no environment changes" in found.verdict
    assert "note 'fast'" in found.shown()[0][-2]


def test_the_file_that_was_held_against_is_named(board: Path) -> None:
    found = verify(board, entries="imp", seeds=1, show=quietly)
    assert "small.toml (sha256 " in found.verdict


def test_other_numbers_in_the_parquet_do_not_hold(board: Path) -> None:
    from pyarrow import compute, parquet

    table = parquet.read_table(board / "results.parquet")
    place = table.schema.get_field_index("value")
    forged = table.set_column(place, "value", compute.multiply(table["value"], 2.0))
    parquet.write_table(forged, board / "results.parquet")
    seal(board)
    assert "results.parquet is not what the results give" in verify(board, show=quietly).verdict


def test_what_nothing_holds_elsewhere_is_counted(board: Path) -> None:
    def early(line: EvaluationDetail) -> object:
        first, *rest = line.curve
        # Early stopping reads the validation split off the curve, so that one cannot be changed alone.
        early = {name: value if name.startswith("valid") else 0.9 for name, value in first.values.items()}
        return (first.model_copy(update={"values": early}), *rest)

    of_details(curve=early)(board)
    found = verify(board, entries="imp", seeds=1, show=quietly)
    assert found.holds
    assert "2 of 2 lines of details moved, and nothing holds them: curves" in found.verdict


@pytest.mark.parametrize("setting", ["execution.workers=64", "execution\t=nonsense", 'execution.executor="nobody"'])
def test_how_a_stranger_carries_work_out_is_not_followed(board: Path, setting: str) -> None:
    publish(board, with_provenance(read_results(board), settings=(setting,)))
    found = verify(board, entries="imp", seeds=1, show=quietly)
    assert found.holds, found.verdict


def test_invented_hardware_is_named_as_its_authors_word(board: Path) -> None:
    results = read_results(board)
    publish(board, with_provenance(results, hardware={**results.provenance.hardware, "cpu": "Cray"}))
    found = verify(board, entries="imp", seeds=1, show=quietly)
    assert "hardware, wall time, date and counts of work are its author's word" in found.remarks


def test_an_invented_note_is_named(board: Path) -> None:
    told(notes=("Checked by NASA.",))(board)
    assert (
        "a note that nothing derives: Checked by NASA." in verify(board, entries="imp", seeds=1, show=quietly).remarks
    )


@pytest.mark.parametrize("name", ["CON", "nul.svg", "a:b", "readme.md", "rules.md ", "RULES.MD"])
def test_a_name_that_is_another_file_elsewhere_is_refused(board: Path, name: str) -> None:
    (board / name).write_text("")
    with pytest.raises(PrunebenchError, match=r"cannot stand in a manifest|one file on some systems"):
        seal(board)


def test_what_no_manifest_lists_is_named_however_it_hides(board: Path) -> None:
    (board / ".findings.md").write_text("We win.")
    (board / "pictures").mkdir()
    (board / "pictures" / ".gitignore").write_text("*")
    (board / "pictures" / "win.svg").write_text("")
    found = verify(board, entries="imp", seeds=1, show=quietly)
    assert "hidden files and folders, which no manifest lists (2): .findings.md; pictures" in found.remarks


def test_nothing_of_a_folder_acts_on_a_terminal(board: Path) -> None:
    publish(board, with_provenance(read_results(board), prunebench="9\x1b[2J\u202e"))
    done = CliRunner().invoke(main, ["verify", str(board), "--cell", "imp:0"])
    assert done.exit_code == 0, done.output
    assert "made with prunebench 9\\x1b[2J\\u202e" in done.output


def test_a_file_that_nothing_makes_is_named(board: Path) -> None:
    (board / "findings.md").write_text("We win.")
    seal(board)
    (board / "more.txt").write_text("")
    found = verify(board, entries="imp", seeds=1, show=quietly)
    assert "files of the author, which are not made from the results (1): findings.md" in found.remarks
    assert "files that the manifest does not list (1): more.txt" in found.remarks


@pytest.mark.parametrize("careful", [False, True])
def test_a_record_written_by_hand_never_makes_a_page_say_re_executed(board: Path, careful: bool) -> None:
    results = read_results(board)
    record = VerificationRecord(
        tier="re-executed",
        when="2026-01-01",
        hardware={"cpu": "Cray"},
        environment=results.provenance.environment,
        bit_equal=True,
        entries=results.provenance.entries,
        seeds=results.provenance.seeds,
        numbers=len(results.rows) if careful else 10**6,
        results=sha256_of_text(rows_text(results.rows)),
        details=sha256_of_text(details_text(results.details)),
    )
    (board / "verification.json").write_text(record_text(record))
    done = CliRunner().invoke(main, ["report", str(board)])
    assert done.exit_code == 0, done.output
    page = (board / "README.md").read_text()
    assert "Tier: **self-reported**" in page
    assert "re-executed" not in page.lower()
    assert ("verification.json claims that" in page) is careful
    said = "is its author's claim of a second run" if careful else "cannot be of these results: it claims 1,000,000"
    assert any(said in remark for remark in verify(board, entries="imp", seeds=1, show=quietly).remarks)


def test_a_command_says_what_it_found_and_runs_nothing(board: Path) -> None:
    a_competitor_dropped(board)
    done = CliRunner().invoke(main, ["verify", str(board), "--json"])
    assert done.exit_code == 1
    said = json.loads(done.stdout)
    assert (said["holds"], said["compared"], said["coverage"]["tier"]) == (False, 0, "not re-executed")
    assert said["findings"][0] == 'entries of the file that provenance.json lacks (1): "random"'
