import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from quiet import quietly

from prunebench import PrunebenchError
from prunebench.api.errors import ConfigError
from prunebench.api.rows import Row
from prunebench.commands.main import main
from prunebench.results.details import read_details
from prunebench.results.manifest import write_manifest
from prunebench.results.provenance import read_provenance
from prunebench.results.rows import read_rows
from prunebench.verification.rerun import chosen_entries, compare, verify

HERE = {"torch": "1", "threads": 1}
THERE = {"torch": "2", "threads": 1}


def forge(board: Path, change: Callable[[dict[str, object]], None]) -> None:
    """Edit the first test accuracy of imp, and make a manifest that fits."""
    rows = [row.to_json() for row in read_rows(board)]
    row = next(r for r in rows if (r["entry"], r["metric"], r["split"]) == ("imp", "accuracy", "test"))
    change(row)
    (board / "results.jsonl").write_text(
        "".join(json.dumps(r, sort_keys=True, separators=(",", ":")) + "\n" for r in rows)
    )
    write_manifest(board)


def test_an_honest_leaderboard_holds_bit_for_bit(board: Path) -> None:
    found = verify(board, show=quietly)
    assert found.holds
    assert found.compared == len(read_rows(board))
    assert "bit for bit" in found.verdict


def test_a_forged_value_with_a_forged_manifest_is_caught_by_running_it_again(board: Path) -> None:
    forge(board, lambda row: row.update(value=0.999))
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
    forge(board, lambda row: row.update(value=0.5))
    failed = CliRunner().invoke(main, ["verify", str(board), "--entries", "imp", "--seeds", "1", "--json"])
    assert failed.exit_code == 1
    told = json.loads(failed.stdout)
    assert (told["holds"], len(told["failures"])) == (False, 1)


def test_entries_and_seeds_may_be_chosen(board: Path) -> None:
    rows, provenance = read_rows(board), read_provenance(board)
    assert chosen_entries("all", rows, provenance) == ("dense", "imp", "random")
    assert set(chosen_entries("top3", rows, provenance)) == {"imp", "random"}
    assert chosen_entries("random,imp", rows, provenance) == ("random", "imp")
    with pytest.raises(ConfigError, match=r'no entry "inp" here\. Did you mean "imp"'):
        chosen_entries("inp", rows, provenance)
    found = verify(board, entries="random", seeds=2, show=quietly)
    assert found.compared == sum(r.entry == "random" and r.seed in (0, 1) for r in rows)


def test_a_benchmark_file_that_is_gone_is_asked_for(board: Path) -> None:
    provenance = json.loads((board / "provenance.json").read_text())
    provenance["file"] = "elsewhere/other.toml"
    (board / "provenance.json").write_text(json.dumps(provenance))
    write_manifest(board)
    with pytest.raises(PrunebenchError, match=r"which is not here; give --file"):
        verify(board, show=quietly)


def moved(rows: list[Row], by: float) -> list[Row]:
    return [
        row.model_copy(update={"value": row.value + by}) if row.metric == "accuracy" and row.value is not None else row
        for row in rows
    ]


def test_elsewhere_a_value_may_move_within_the_tolerance_and_no_further(board: Path) -> None:
    rows = read_rows(board)
    near = compare(rows, moved(rows, 0.009), HERE, THERE, allowed=0.01)
    far = compare(rows, moved(rows, 0.011), HERE, THERE, allowed=0.01)
    assert near.holds
    assert "torch '1' -> '2'" in near.verdict
    assert not far.holds
    assert not compare(rows, moved(rows, 0.009), HERE, HERE, allowed=0.01).holds


def test_elsewhere_a_density_must_still_be_the_same(board: Path) -> None:
    rows = read_rows(board)
    other = [row.model_copy(update={"density": (row.density or 0.0) - 1e-6}) for row in rows]
    assert not compare(rows, other, HERE, THERE, allowed=1.0).holds


def test_elsewhere_one_seed_registers_no_tolerance_and_stays_open(board: Path) -> None:
    rows = read_rows(board)
    found = compare(rows, moved(rows, 0.001), HERE, THERE, allowed=None)
    assert not found.holds
    assert found.verdict.startswith("It is open")


def test_a_row_that_is_missing_is_a_difference(board: Path) -> None:
    rows = read_rows(board)
    found = compare(rows, rows[1:], HERE, HERE)
    assert [(d.recorded, d.again) for d in found.failures] == [(rows[0], None)]


def test_a_curve_that_differs_is_found_though_the_numbers_agree(board: Path) -> None:
    rows = read_rows(board)
    line = read_details(board)[0]
    found = compare(rows, rows, HERE, HERE, details=([line], [line.model_copy(update={"curve": ()})]))
    assert (found.holds, found.details_differ) == (False, 1)


def test_a_record_of_the_verification_moves_the_leaderboard_up_a_tier(board: Path) -> None:
    done = CliRunner().invoke(main, ["verify", str(board), "--entries", "imp", "--seeds", "1", "--record"])
    assert done.exit_code == 0, done.output
    noted = json.loads((board / "verification.json").read_text())
    assert (noted["tier"], noted["entries"], noted["seeds"], noted["bit_equal"]) == ("re-executed", ["imp"], [0], True)
    again = CliRunner().invoke(main, ["verify", str(board), "--entries", "imp", "--seeds", "1"])
    assert again.exit_code == 0, again.output


def test_a_page_is_not_written_for_results_that_were_edited(board: Path) -> None:
    (board / "results.jsonl").write_bytes((board / "results.jsonl").read_bytes().replace(b"0.", b"1.", 1))
    refused = CliRunner().invoke(main, ["report", str(board)])
    assert refused.exit_code == 2
    assert "results.jsonl was edited" in refused.output
