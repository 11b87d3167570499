import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from leaderboard.boards import board as board_of_rows
from leaderboard.boards import row
from quiet import quietly

from prunebench import PrunebenchError, runner
from prunebench.api.details import EvaluationDetail
from prunebench.api.errors import ConfigError
from prunebench.api.results import final_rows
from prunebench.api.rows import Row
from prunebench.commands.main import main
from prunebench.leaderboard import board_of
from prunebench.results.details import read_details
from prunebench.results.folder import read_results
from prunebench.results.rows import read_rows
from prunebench.results.verification import misfits, read_record
from prunebench.results.writing import seal
from prunebench.runner.preparing import Options
from prunebench.runner.publishing import write_results
from prunebench.verification.audit.tickets import other_tickets
from prunebench.verification.comparison import compare
from prunebench.verification.rerun import chosen_entries
from prunebench.verification.verify import verify

METRIC = "test/accuracy"
HERE = {"torch": "1", "threads": 1}
THERE = {"torch": "2", "threads": 1}


def forge(board: Path, value: float) -> None:
    """Replace the last test loss of imp's first seed, in its curve too, and make every page and digest fit."""
    results = read_results(board)
    row = next(r for r in final_rows(results.rows, "test/loss") if (r.entry, r.round) == ("imp", 1))
    rows = [r.model_copy(update={"value": value}) if r is row else r for r in results.rows]
    details = []
    for line in results.details:
        if isinstance(line, EvaluationDetail) and line.key == row.key and line.round == row.round:
            *curve, end = line.curve
            forged = end.model_copy(update={"values": {**end.values, "test/loss": value}})
            line = line.model_copy(update={"curve": (*curve, forged)})
        details.append(line)
    write_results(board, replace(results, rows=rows, details=details))


def test_an_honest_leaderboard_holds_bit_for_bit(board: Path) -> None:
    found = verify(board, show=quietly)
    assert found.holds
    assert found.compared == len(read_rows(board))
    assert "bit for bit" in found.verdict


def test_a_forged_value_with_a_forged_manifest_is_caught_by_running_it_again(board: Path) -> None:
    forge(board, 0.999)
    found = verify(board, entries="imp", seeds=1, show=quietly)
    assert not found.holds
    assert [d.recorded.value for d in found.failures if d.recorded] == [0.999]
    assert "do not come from this file" in found.verdict.replace("\n", " ")


def test_an_edit_without_a_new_manifest_is_told_before_anything_runs(board: Path) -> None:
    (board / "README.md").write_text("better numbers")
    found = verify(board, show=lambda prepared, numbers: pytest.fail("it ran"))
    assert found.manifest == ("README.md was edited: its sha256 is not the manifest's",)
    assert not found.holds


def test_the_command_exits_0_where_it_holds_and_1_where_it_does_not(board: Path) -> None:
    held = CliRunner().invoke(main, ["verify", str(board), "--entries", "imp", "--seeds", "1"])
    assert (held.exit_code, "It holds" in held.output) == (0, True)
    forge(board, 0.5)
    failed = CliRunner().invoke(main, ["verify", str(board), "--entries", "imp", "--seeds", "1", "--json"])
    assert failed.exit_code == 1
    told = json.loads(failed.stdout)
    assert (told["holds"], len(told["failures"])) == (False, 1)


def test_entries_and_seeds_may_be_chosen(board: Path) -> None:
    results = read_results(board)
    shown = board_of(results)
    assert chosen_entries("all", shown) == ("dense", "imp", "random")
    assert set(chosen_entries("top3", shown)) == {"imp", "random"}
    assert chosen_entries("random,imp", shown) == ("random", "imp")
    with pytest.raises(ConfigError, match=r'no entry "inp" here\. Did you mean "imp"'):
        chosen_entries("inp", shown)
    found = verify(board, entries="random", seeds=2, show=quietly)
    assert found.compared == sum(r.entry == "random" and r.seed in (0, 1) for r in results.rows)


def test_a_partial_leaderboard_that_says_so_holds_and_the_verdict_says_it_too(board: Path) -> None:
    partial = board.parent / "partial"
    prepared = runner.prepare(Options(board.parent / "small.toml", seeds=(1,), store=board.parent / "store"))
    runner.write(prepared, runner.run(prepared), partial)
    found = verify(partial, entries="imp", show=quietly)
    assert found.holds, found.verdict
    assert "partial, as it says: seeds of the file that are missing (2): 0; 2" in found.remarks


def test_the_top_three_of_a_loss_are_the_lowest_and_each_table_has_its_own() -> None:
    def losses(model: str, values: dict[str, float]) -> list[dict[str, object]]:
        more = {"metric": "loss", "unit": "nats", "model": model}
        return [row(name, 0, 0.5, value, **more) for name, value in values.items()]

    rows = losses("lenet", {"a": 0.9, "b": 0.2, "c": 0.3, "d": 0.1, "e": 0.8})
    shown = board_of_rows(rows, metric="test/loss", entries="abcde")
    assert chosen_entries("top3", shown) == ("b", "c", "d")
    rows += losses("conv", {"a": 0.1, "b": 0.9, "c": 0.2, "d": 0.9, "e": 0.3})
    shown = board_of_rows(rows, metric="test/loss", entries="abcde")
    assert chosen_entries("top3", shown) == ("a", "b", "c", "d", "e")


def test_the_top_three_stand_at_the_places_of_the_axis() -> None:
    # at equal density a is best, at an equal cost it is worst
    cost = {"a": 0.9, "b": 0.5, "c": 0.5, "d": 0.5}
    rows = [row(name, 0, 0.5, 0.6 - i / 100, density_macs=cost[name]) for i, name in enumerate(cost)]
    rows += [row("a", 0, 0.25, 0.1, density_macs=0.5, round=2)]
    shown = board_of_rows(rows, entries="abcd", axis="density_macs", at=[0.5])
    assert chosen_entries("top3", shown) == ("b", "c", "d")


def test_a_benchmark_file_that_is_gone_is_asked_for(board: Path) -> None:
    provenance = json.loads((board / "provenance.json").read_text())
    provenance["file"] = "elsewhere/other.toml"
    (board / "provenance.json").write_text(json.dumps(provenance))
    seal(board)
    with pytest.raises(PrunebenchError, match=r"which is not here; give --file"):
        verify(board, show=quietly)


def moved(rows: list[Row], by: float) -> list[Row]:
    return [
        row.model_copy(update={"value": row.value + by}) if row.metric == "accuracy" and row.value is not None else row
        for row in rows
    ]


def test_elsewhere_a_value_may_move_within_the_tolerance_and_no_further(board: Path) -> None:
    rows = read_rows(board)
    near = compare(rows, moved(rows, 0.009), HERE, THERE, metric=METRIC, allowed={"test/accuracy": 0.01})
    far = compare(rows, moved(rows, 0.011), HERE, THERE, metric=METRIC, allowed={"test/accuracy": 0.01})
    assert near.holds
    assert "torch '1' -> '2'" in near.verdict
    assert not far.holds
    assert not compare(rows, moved(rows, 0.009), HERE, HERE, metric=METRIC, allowed={"test/accuracy": 0.01}).holds


def test_elsewhere_a_density_must_still_be_the_same(board: Path) -> None:
    rows = read_rows(board)
    other = [row.model_copy(update={"density": (row.density or 0.0) - 1e-6}) for row in rows]
    assert not compare(rows, other, HERE, THERE, metric=METRIC, allowed={"test/accuracy": 1.0}).holds


def test_elsewhere_one_seed_registers_no_tolerance_and_stays_open(board: Path) -> None:
    rows = read_rows(board)
    found = compare(rows, moved(rows, 0.001), HERE, THERE, metric=METRIC)
    assert not found.holds
    assert found.verdict.startswith("It is open")


def test_a_row_that_is_missing_is_a_difference(board: Path) -> None:
    rows = read_rows(board)
    found = compare(rows, rows[1:], HERE, HERE, metric=METRIC)
    assert [(d.recorded, d.again) for d in found.failures] == [(rows[0], None)]


def test_a_curve_that_differs_is_found_though_the_numbers_agree(board: Path) -> None:
    rows = read_rows(board)
    line = read_details(board)[0]
    found = compare(rows, rows, HERE, HERE, metric=METRIC, details=([line], [line.model_copy(update={"curve": ()})]))
    assert (found.holds, found.details_differ) == (False, 1)


def test_a_record_says_what_was_run_again_and_the_page_quotes_it(board: Path) -> None:
    done = CliRunner().invoke(main, ["verify", str(board), "--cell", "imp:0", "--cell", "random:1", "--record"])
    assert done.exit_code == 0, done.output
    assert "Partly re-executed" in done.output
    assert "2 of 9 pairs of entry and seed, chosen by hand: imp:0, random:1. That says nothing" in " ".join(
        done.output.split()
    )
    noted = read_record(board)
    assert noted is not None
    assert (noted.covered, noted.bit_equal, noted.drawn) == ({("imp", 0), ("random", 1)}, True, False)
    assert not misfits(noted, read_results(board))
    assert "verification.json claims that" in (board / "README.md").read_text()
    again = verify(board, cells=[("imp", 0)], show=quietly)
    assert again.holds
    assert any("its author's claim of a second run" in remark for remark in again.remarks)


def test_a_page_is_not_written_for_results_that_were_edited(board: Path) -> None:
    (board / "results.jsonl").write_bytes((board / "results.jsonl").read_bytes().replace(b"0.", b"1.", 1))
    refused = CliRunner().invoke(main, ["report", str(board)])
    assert refused.exit_code == 2
    assert "results.jsonl was edited" in refused.output


SLIMMING = """
schema = 1
claim = "slimming needs batch norm"
seeds = [0]
cut = 0.5
rounds = 1
data = "mnist5k"

[model]
name = "lenet_300_100"
args = { widths = [10, 5] }

[train]
horizon = "2it"
batch = 50
optimizer = { use = "adam", lr = 3e-3 }

[[entry]]
name = "dense"

[[entry]]
name = "slimming"
schedule = "rewind"
units = "channels"
score = "bn-gamma"
select = "global"

[execution]
workers = 0
"""


def test_a_method_that_applies_to_no_network_is_verified_by_planning_it(tmp_path: Path) -> None:
    (tmp_path / "slimming.toml").write_text(SLIMMING)
    prepared = runner.prepare(Options(tmp_path / "slimming.toml", store=tmp_path / "store"))
    board = tmp_path / "board"
    runner.write(prepared, runner.run(prepared), board)
    for entries, compared in (("slimming", 1), ("all", len(read_results(board).rows))):
        comparison = verify(board, entries=entries, show=quietly)
        assert (comparison.holds, comparison.compared, comparison.same_environment) == (True, compared, True)

    results = read_results(board)
    (said,) = (row for row in results.rows if row.entry == "slimming")
    for more in ({"density_macs": 0.5}, {"metric": "accuracy"}, {"round": 2}):
        changed = [row if row != said else row.model_copy(update=more) for row in results.rows]
        found = list(other_tickets(replace(results, rows=changed), prepared.plan))
        assert any("state more of such a trial than that its method does not apply (1)" in text for text in found)
