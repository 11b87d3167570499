"""A benchmark file from Python gives what the command gives."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import prunebench
from prunebench.api.errors import ConfigError

ROOT = Path(__file__).parents[2]
QUICK = ROOT / "benchmarks" / "quickstart.toml"
SMALL = {
    "train.horizon": "20it",
    "measure.every": "10it",
    "rounds": 2,
    "densities": [0.641],
    "execution.workers": 0,
    "entries": ["dense", "imp"],
    "expect": [],
}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("store")


def small(store: Path, **more: object) -> prunebench.Experiment:
    return prunebench.load(QUICK, seeds=[0, 1], settings={**SMALL, **more}, store=store)


def test_a_file_is_planned_before_anything_trains(store: Path) -> None:
    experiment = small(store)
    assert repr(experiment) == "Experiment('quickstart': 2 entries, 2 seeds)"
    assert (experiment.entries, experiment.seeds) == (("dense", "imp"), (0, 1))
    # Of each seed the dense run and those of rounds 1 and 2, the last of which is judged.
    planned = experiment.plan()
    assert planned.runs_distinct >= 4
    # A person reads it; the keys of all runs would hide it.
    assert len(planned.work) == planned.runs_distinct
    assert not any(key in repr(planned) for key in planned.work)


def test_a_run_gives_rows_board_and_picture(store: Path, capsys: pytest.CaptureFixture[str]) -> None:
    leaderboard = small(store).run(progress=False)
    assert not leaderboard.failed
    assert capsys.readouterr().err == ""
    frame = leaderboard.to_pandas()
    assert len(frame) == len(leaderboard.rows)
    assert set(frame["entry"]) == {"dense", "imp"}
    assert frame["value"].dtype.kind == "f"
    (group,) = leaderboard.board().groups
    assert group.ranked == ("imp",)
    assert [axes.get_xscale() for axes in leaderboard.plot().axes] == ["log"]
    assert "imp" in str(leaderboard)
    assert leaderboard._repr_html_().startswith("<pre>")
    assert repr(leaderboard) == f"Leaderboard('quickstart': {len(leaderboard.rows):,} rows)"


def test_a_second_run_trains_nothing_and_gives_the_same_rows(store: Path) -> None:
    first = small(store).run(progress=False)
    experiment = small(store)
    assert experiment.plan().phases_missing == 0
    assert [row.to_json() for row in experiment.run(progress=False).rows] == [row.to_json() for row in first.rows]


def test_progress_goes_to_standard_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    small(tmp_path / "store").run()
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "runs" in shown.err


def test_a_leaderboard_that_was_written_is_read_again(store: Path, tmp_path: Path) -> None:
    made = small(store).run(tmp_path / "board", progress=False)
    read = prunebench.load_results(tmp_path / "board")
    assert [row.to_json() for row in read.rows] == [row.to_json() for row in made.rows]
    assert str(read) == str(made)
    again = read.write(tmp_path / "again")
    assert (again / "results.jsonl").read_bytes() == (tmp_path / "board" / "results.jsonl").read_bytes()


def test_another_metric_may_be_ranked_by(store: Path) -> None:
    leaderboard = small(store).run(progress=False)
    assert leaderboard.board("test/loss").metric == "test/loss"
    with pytest.raises(prunebench.PrunebenchError, match="test/los"):
        leaderboard.board("test/los")


def test_every_error_of_a_file_comes_at_once(store: Path) -> None:
    with pytest.raises(ConfigError) as error:
        prunebench.load(QUICK, settings={"train.batch": 0, "cut": 2.0}, store=store)
    assert len(error.value.errors) == 2


def test_a_setting_that_no_file_could_have_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"settings: train\.batch: .* is no text, number, truth value or list"):
        prunebench.load(QUICK, settings={"train.batch": object()})  # type: ignore[dict-item]


def test_what_a_comparison_says_of_a_board_and_itself(store: Path) -> None:
    leaderboard = small(store).run(progress=False)
    comparison = prunebench.compare(leaderboard, leaderboard)
    assert comparison.recipe == ()
    assert comparison.pairs
    assert all(pair.same and pair.first == pair.second for pair in comparison.pairs)
    assert json.loads(json.dumps(comparison.to_json()))["metric"] == "test/accuracy"


def test_a_script_without_a_guard_runs_with_workers(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import prunebench\n"
        f"experiment = prunebench.load({str(QUICK)!r}, seeds=[0], settings={{**{SMALL!r}, 'execution.workers': 2}},\n"
        f"    store={str(tmp_path / 'store')!r})\n"
        "print('rows', len(experiment.run(progress=False).rows))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("rows ")
    assert done.stdout.count("rows") == 1
