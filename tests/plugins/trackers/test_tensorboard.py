import json
import math
import sys
from pathlib import Path
from typing import Any

import pytest

from prunebench.api.details import CurvePoint, EvaluationDetail
from prunebench.api.errors import ConfigError
from prunebench.api.results import Results
from prunebench.components.catalogue import Catalogue
from prunebench.results.details import read_details
from prunebench.results.provenance import read_provenance
from prunebench.results.rows import read_rows
from prunebench.runner.preparing import Options, prepare
from prunebench.runner.publishing import write
from prunebench.runner.running import run
from prunebench.testing import toy_catalogue
from prunebench_plugins.trackers import tensorboard

FILE = """
schema = 1
seeds = [0, 1]
cut = 0.2
rounds = 2
data = "toy-data"
model = "toy-net"

[train]
horizon = "24it"
batch = 8
optimizer = { use = "sgd", lr = 0.1 }

[measure]
every = "8it"
at = ["16it"]

[[entry]]
name = "imp"
schedule = "rewind"
score = "magnitude"
select = "global"
units = "toy-units"
analyse = ["layer-densities"]

[[entry]]
name = "rein/it"
tickets = "imp"
ticket = ["reinit"]
draws = 2

[report]
also = ["tensorboard"]

[execution]
workers = 0
"""


def catalogue() -> Catalogue:
    return toy_catalogue().with_components(tensorboard.prunebench_components(), "these tests")


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tensorboard")
    (folder / "mine.toml").write_text(FILE)
    prepared = prepare(Options(folder / "mine.toml", store=folder / "store"), catalogue())
    outcome = run(prepared, catalogue=catalogue())
    write(prepared, outcome, folder / "board")
    write(prepared, outcome, folder / "board")
    return folder / "board"


def scalars(folder: Path) -> dict[str, dict[int, list[float]]]:
    """Every value by tag and step, read back with TensorBoard's own reader."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    accumulator = EventAccumulator(str(folder), size_guidance={"scalars": 0})
    accumulator.Reload()
    found: dict[str, dict[int, list[float]]] = {}
    for tag in accumulator.Tags()["scalars"]:
        for event in accumulator.Scalars(tag):
            found.setdefault(tag, {}).setdefault(event.step, []).append(event.value)
    return found


def as_stored(value: float) -> Any:
    return pytest.approx(value, rel=1e-6)  # event files hold single precision


def of(line: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(line[name] for name in ("entry", "model", "data", "seed"))


def rows_of(board: Path) -> list[dict[str, Any]]:
    return [row.to_json() for row in read_rows(board)]


def folders(board: Path) -> dict[tuple[Any, ...], Path]:
    return {
        of(line): next((board / "tensorboard").glob(f"{line['entry'].replace('/', '_')}-*-seed{line['seed']}-*"))
        for line in rows_of(board)
    }


def test_every_number_of_the_results_is_a_scalar_at_its_density(board: Path) -> None:
    read = {place: scalars(folder) for place, folder in folders(board).items()}
    assert len(read) == 4
    count = 0
    for row in rows_of(board):
        prefix = {"evaluate": f"tickets/{row['split']}/{row['metric']}", "analyse": f"analysis/{row['metric']}"}
        tag = prefix[row["role"]] + ("@16it" if row["position"] == "16it" and "early" not in row["metric"] else "")
        tag += f"/draw-{row['draw']}" if row["draw"] else ""
        if row["density"] is None:
            values = read[of(row)][tag + "/by-round"][row["round"]]
        else:
            values = read[of(row)][tag][round(1e6 * row["density"])]
        assert values == [as_stored(row["value"])], row
        count += 1
    drawn = sum(
        len(values)
        for tags in read.values()
        for tag, steps in tags.items()
        if not tag.startswith("curves/")
        for values in steps.values()
    )
    assert drawn == count > 50


def test_every_point_of_every_curve_is_a_scalar_at_its_iteration(board: Path) -> None:
    read = {place: scalars(folder) for place, folder in folders(board).items()}
    expected = 0
    for line in (line.to_json() for line in read_details(board)):
        if line["kind"] != "evaluation":
            continue
        name = f"round-{line['round']:02d}" + (f"-draw-{line['draw']}" if line["entry"] == "rein/it" else "")
        for point in line["curve"]:
            for metric in set(point) - {"iteration"}:
                values = read[of(line)][f"curves/{name}/{metric}"][point["iteration"]]
                assert values == [as_stored(point[metric])]
                expected += 1
    drawn = [tag for tags in read.values() for tag in tags if tag.startswith("curves/")]
    assert expected == 4 * len(drawn)
    assert expected > 100


def without_loss(point: CurvePoint) -> CurvePoint:
    return point.model_copy(update={"values": {**point.values, "test/loss": None}})


def test_what_diverged_has_no_point(board: Path, tmp_path: Path) -> None:
    rows = [row.model_copy(update={"value": None, "outcome": "diverged"}) for row in read_rows(board)]
    details = [
        line.model_copy(update={"curve": tuple(map(without_loss, line.curve))})
        if isinstance(line, EvaluationDetail)
        else line
        for line in read_details(board)
    ]
    use = catalogue().use("tensorboard", slot="report").build()
    assert isinstance(use, tensorboard.Tensorboard)
    use.prunebench_report(Results("mine", rows, details, read_provenance(board)), tmp_path)
    read = [scalars(folder) for folder in (tmp_path / "tensorboard").iterdir()]
    tags = {tag for tags in read for tag in tags}
    assert tags
    assert all(tag.startswith("curves/") and not tag.endswith("/test/loss") for tag in tags)
    assert all(math.isfinite(v) for tags in read for steps in tags.values() for vs in steps.values() for v in vs)


def test_no_file_is_named_after_the_machine(board: Path) -> None:
    files = [path.name for path in (board / "tensorboard").rglob("*") if path.is_file()]
    assert set(files) == {"events.out.tfevents.0.prunebench"}
    assert len(files) == 4


def test_a_file_that_names_it_where_the_package_is_missing_is_an_error_that_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    (tmp_path / "mine.toml").write_text(FILE)
    with pytest.raises(ConfigError, match=r'report\.also.*"tensorboard" is not installed.*prunebench\[tensorboard\]'):
        prepare(Options(tmp_path / "mine.toml", store=tmp_path / "store"), catalogue())


def test_the_leaderboard_beside_it_is_left_alone(board: Path) -> None:
    assert json.loads((board / "provenance.json").read_text())["also"][0]["use"] == "tensorboard"
