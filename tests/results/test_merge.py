import json
import shutil
from pathlib import Path

import pytest

from prunebench import PrunebenchError, runner
from prunebench.leaderboard import read_rows
from prunebench.results.manifest import write_manifest
from prunebench.results.merge import merged, read_results
from prunebench.runner.preparing import Options
from prunebench.runner.publishing import write_results

FILE = """
schema = 1
seeds = [0, 1]
cut = 0.5
rounds = 1
data = "mnist5k"

[model]
name = "lenet_300_100"
args = { widths = [20, 10] }

[train]
horizon = "10it"
batch = 50
optimizer = { use = "sgd", lr = 0.1 }

[[entry]]
name = "dense"

[[entry]]
name = "imp"
schedule = "rewind"
score = "magnitude"
select = "global"

[execution]
workers = 0
"""


@pytest.fixture(scope="module")
def boards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boards")
    (folder / "small.toml").write_text(FILE)
    for name, seeds in (("both", (0, 1)), ("first", (0,)), ("second", (1,))):
        prepared = runner.prepare(Options(folder / "small.toml", seeds=seeds, store=folder / "store"))
        runner.write(prepared, runner.run(prepared), folder / name)
    return folder


def test_seeds_run_apart_give_the_rows_of_seeds_run_together(boards: Path, tmp_path: Path) -> None:
    write_results(tmp_path, merged([read_results(boards / "first"), read_results(boards / "second")]))
    together = {json.dumps(row, sort_keys=True) for row in read_rows(boards / "both")}
    assert {json.dumps(row, sort_keys=True) for row in read_rows(tmp_path)} == together
    assert "Merged from 2 runs" in (tmp_path / "README.md").read_text()


def test_a_measurement_that_both_have_counts_once(boards: Path) -> None:
    twice = merged([read_results(boards / "both"), read_results(boards / "first")])
    assert len(twice.rows) == len(read_rows(boards / "both"))
    assert twice.provenance["seeds"] == [0, 1]


def test_results_of_other_component_versions_are_refused_with_what_differs(boards: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(boards / "second", tmp_path / "other"))
    provenance = json.loads((other / "provenance.json").read_text())
    provenance["components"]["magnitude"]["version"] = 2
    (other / "provenance.json").write_text(json.dumps(provenance))
    write_manifest(other)
    with pytest.raises(PrunebenchError, match="magnitude"):
        merged([read_results(boards / "first"), read_results(other)])


def test_edited_results_are_refused(boards: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(boards / "second", tmp_path / "other"))
    (other / "results.jsonl").write_text("")
    with pytest.raises(PrunebenchError, match=r"results\.jsonl was edited"):
        read_results(other)
