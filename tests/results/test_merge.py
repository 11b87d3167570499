import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from leaderboard.boards import PROVENANCE, results, row, typed

from prunebench import PrunebenchError, runner
from prunebench.api.results import Results
from prunebench.leaderboard import board_of
from prunebench.results.folder import read_results
from prunebench.results.merge import check_mixable, merged
from prunebench.results.rows import read_rows
from prunebench.results.writing import seal
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
    together = {row.model_dump_json() for row in read_rows(boards / "both")}
    assert {row.model_dump_json() for row in read_rows(tmp_path)} == together
    assert "Merged from 2 runs" in (tmp_path / "README.md").read_text()


def test_seeds_that_are_missing_are_said_until_they_are_merged_in(boards: Path, tmp_path: Path) -> None:
    first, second, both = (read_results(boards / name) for name in ("first", "second", "both"))
    assert [one.provenance.missing_seeds for one in (first, second, both)] == [(1,), (0,), ()]
    assert "missing_seeds" not in (boards / "both" / "provenance.json").read_text()
    said = "Partial: seed 1 is missing of those that the file asks for."
    assert said in (boards / "first" / "README.md").read_text()
    assert said in board_of(merged([first, first])).notes
    whole = merged([first, second])
    assert whole.provenance.missing_seeds == ()
    assert not any(note.startswith("Partial") for note in board_of(whole).notes)


def test_a_measurement_that_both_have_counts_once(boards: Path) -> None:
    twice = merged([read_results(boards / "both"), read_results(boards / "first")])
    assert len(twice.rows) == len(read_rows(boards / "both"))
    assert twice.provenance.seeds == (0, 1)


def test_results_of_other_component_versions_are_refused_with_what_differs(boards: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(boards / "second", tmp_path / "other"))
    provenance = json.loads((other / "provenance.json").read_text())
    provenance["components"]["magnitude"]["version"] = 2
    (other / "provenance.json").write_text(json.dumps(provenance))
    seal(other)
    with pytest.raises(PrunebenchError, match="magnitude"):
        merged([read_results(boards / "first"), read_results(other)])


def test_edited_results_are_refused(boards: Path, tmp_path: Path) -> None:
    other = Path(shutil.copytree(boards / "second", tmp_path / "other"))
    (other / "results.jsonl").write_text("")
    with pytest.raises(PrunebenchError, match=r"results\.jsonl was edited"):
        read_results(other)


def recorded(rows: list[dict[str, Any]] | None = None, **provenance: Any) -> Results:
    return typed(results() if rows is None else rows, (), {**PROVENANCE, **provenance})


def component(**about: Any) -> dict[str, Any]:
    return {"magnitude": {"version": 1, "distribution": "prunebench 0.1.0", "paper": "", **about}}


def test_results_of_the_same_things_may_be_mixed() -> None:
    check_mixable(recorded(), recorded())
    check_mixable(recorded(), recorded([row("imp", 9, 0.512, 0.9)], finished="later", seeds=[9]))
    check_mixable(recorded(), recorded(schema=1))


def test_another_release_with_the_same_component_versions_may_be_mixed() -> None:
    check_mixable(recorded(), recorded(prunebench="0.2.0", components=component(distribution="prunebench 0.2.0")))
    check_mixable(recorded(), recorded(components={}))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"schema": 2}, "schema: 1 and 2"),
        ({"components": component(version=2)}, 'component "magnitude": version 1 and 2'),
        ({"components": component(distribution="mine 1.0")}, 'component "magnitude": from prunebench and from mine'),
        ({"profile": "smoke"}, 'profile: none and "smoke"'),
        ({"settings": ["train.batch=60"]}, "settings: none and train.batch=60"),
    ],
)
def test_what_differs_is_named(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(PrunebenchError, match="cannot be mixed") as error:
        check_mixable(recorded(), recorded(**changes))
    assert said in str(error.value)


def test_everything_that_differs_is_named_at_once() -> None:
    with pytest.raises(PrunebenchError) as error:
        check_mixable(recorded(), recorded(profile="smoke", components=component(version=3)))
    assert len(str(error.value).splitlines()) == 3


def test_rows_with_other_fields_are_named() -> None:
    with pytest.raises(PrunebenchError, match="fields of the rows: only one has density_macs"):
        check_mixable(recorded(), recorded([{**r, "density_macs": 0.5} for r in results()]))


def test_two_values_of_one_measurement_are_named() -> None:
    changed = [{**r, "value": 0.5} if r["entry"] == "imp" else r for r in results()]
    with pytest.raises(PrunebenchError, match=r'12 measurements have two values, the first being entry "imp", seed 0'):
        check_mixable(recorded(), recorded(changed))


@pytest.mark.parametrize("name", ["unlisted", "a\x1b[31m", "x" * 100_000])
def test_rows_of_an_entry_that_nobody_lists_are_a_sentence(name: str) -> None:
    strange = recorded([{**r, "entry": name} if r["entry"] == "imp" else r for r in results()])
    with pytest.raises(PrunebenchError, match="does not list the entry") as error:
        merged([recorded(), strange])
    assert len(str(error.value)) < 500
    assert "\x1b" not in str(error.value)
