from pathlib import Path

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.results import Results
from prunebench.runner.preparing import Options, prepare
from prunebench.runner.publishing import write
from prunebench.runner.running import run
from prunebench.testing import toy_catalogue

FILE = """
schema = 1
seeds = [0]
cut = 0.2
rounds = 1
data = "toy-data"
model = "toy-net"

[train]
horizon = "8it"
batch = 8
optimizer = { use = "sgd", lr = 0.1 }

[[entry]]
name = "imp"
schedule = "rewind"
score = "magnitude"
select = "global"
units = "toy-units"

[report]
also = ["list-of-files", "number-of-rows"]

[execution]
workers = 0
"""


class ListOfFiles:
    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_report(self, folder: Path) -> None:
        (folder / "files.txt").write_text("\n".join(sorted(path.name for path in folder.iterdir())))


class NumberOfRows:
    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_report(self, results: Results, folder: Path) -> None:
        (folder / "rows.txt").write_text(f"{len(results.rows)} after {(folder / 'files.txt').exists()}")


def test_reports_write_beside_a_finished_leaderboard_in_the_order_of_the_file(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(FILE)
    catalogue = toy_catalogue().with_components(
        [
            Component("list-of-files", ComponentConfig, ListOfFiles, version=1),
            Component("number-of-rows", ComponentConfig, NumberOfRows, version=1),
        ],
        "these tests",
    )
    prepared = prepare(Options(tmp_path / "mine.toml", store=tmp_path / "store"), catalogue)
    outcome = run(prepared, catalogue=catalogue)
    write(prepared, outcome, tmp_path / "out")
    assert {"README.md", "results.jsonl"} <= set((tmp_path / "out" / "files.txt").read_text().split("\n"))
    assert (tmp_path / "out" / "rows.txt").read_text() == f"{len(outcome.rows)} after True"
    assert outcome.rows
