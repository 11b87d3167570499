import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from prunebench.api.errors import ConfigError, PrunebenchError
from prunebench.api.provenance import RunCounts
from prunebench.api.results import Results
from prunebench.components.catalogue import Catalogue
from prunebench.leaderboard import board_of
from prunebench.results.details import read_details
from prunebench.results.provenance import read_provenance
from prunebench.results.rows import read_rows
from prunebench.runner.preparing import Options, prepare
from prunebench.runner.publishing import write
from prunebench.runner.running import run
from prunebench.testing import toy_catalogue
from prunebench_plugins.trackers import wandb_
from prunebench_plugins.trackers._wandb_published import Published
from prunebench_plugins.trackers._wandb_runs import Run, runs_of

FILE = """
schema = 1
claim = "a claim"
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
name = "dense"
units = "toy-units"

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
also = ["wandb"]

[execution]
workers = 0
"""

NO_NETWORK = """
import sys


def watch(event, arguments, log={log!r}):
    if event in ("socket.getaddrinfo", "socket.gethostbyname", "socket.connect", "socket.sendto", "socket.sendmsg"):
        if event.startswith("socket.get") or arguments[0].family.name != "AF_UNIX":
            with open(log, "a") as file:
                file.write(repr((event, arguments)) + chr(10))
            raise OSError("no network here")


sys.addaudithook(watch)
with open({log!r} + ".processes", "a") as file:
    file.write(" ".join(sys.orig_argv) + chr(10))
"""
"""A sitecustomize that lets no process of Python reach out, and writes down what it tried."""

SECRETS = (
    "WANDB_API_KEY",
    "WANDB_IDENTITY_TOKEN",
    "WANDB_USERNAME",
    "WANDB_NOTES",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "GITHUB_TOKEN",
    "GH_TOKEN",
    "HF_TOKEN",
    "OPENAI_API_KEY",
    "GOOGLE_API_KEY",
    "AZURE_CLIENT_SECRET",
    "DATABASE_URL",
    "SSH_AUTH_SOCK",
    "SLACK_TOKEN",
    "NPM_TOKEN",
    "MY_PASSWORD",
    "netrc",
    "settings",
)
CANARIES = {name: f"canary{index:02d}" + "0123456789abcdef" * 2 for index, name in enumerate(SECRETS)}
"""Secrets in the environment, and two in files of the home folder."""


@dataclass(frozen=True)
class Place:
    """Where the published benchmark lies."""

    folder: Path
    isolated: bool

    @property
    def board(self) -> Path:
        return self.folder / "board"

    @property
    def own(self) -> Path:
        return self.board / "wandb"


def catalogue() -> Catalogue:
    return toy_catalogue().with_components(wandb_.prunebench_components(), "these tests")


def publish(folder: Path) -> None:
    """Run the benchmark of a folder and write its leaderboard: what the process without a network does."""
    prepared = prepare(Options(folder / "mine.toml", store=folder / "store"), catalogue())
    outcome = run(prepared, catalogue=catalogue(), folder=folder / "board")
    shutil.copytree(folder / "board" / "log" / "wandb", folder / "live")  # before the finished runs take their place
    write(prepared, outcome, folder / "board")


def has_namespaces() -> bool:
    try:
        return subprocess.run(["unshare", "-n", "true"], capture_output=True).returncode == 0
    except OSError:
        return False


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A benchmark run and published in a process without a network and with secrets all around it."""
    folder = tmp_path_factory.mktemp("wandb")
    (folder / "mine.toml").write_text(FILE)
    for name in ("site", "home", "tmp", "cwd"):
        (folder / name).mkdir()
    (folder / "site" / "sitecustomize.py").write_text(NO_NETWORK.format(log=str(folder / "network.log")))
    (folder / "home" / ".netrc").write_text(f"machine api.wandb.ai login user password {CANARIES['netrc']}\n")
    (folder / "home" / ".netrc").chmod(0o600)
    settings = folder / "home" / ".config" / "wandb" / "settings"
    settings.parent.mkdir(parents=True)
    settings.write_text(f"[default]\napi_key = {CANARIES['settings']}\n")
    paths = [str(folder / "site"), str(Path(__file__).parent), *filter(None, sys.path)]
    environment = {
        **os.environ,
        **{name: secret for name, secret in CANARIES.items() if name.isupper()},
        "HOME": str(folder / "home"),
        "MPLCONFIGDIR": str(folder / "matplotlib"),
        "PYTHONPATH": os.pathsep.join(paths),
        "TMPDIR": str(folder / "tmp"),
        "WANDB_MODE": "offline",
    }
    isolated = has_namespaces()
    code = f"from pathlib import Path\nimport {Path(__file__).stem} as test\ntest.publish(Path({str(folder)!r}))"
    command = [*(["unshare", "-n"] if isolated else []), sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, env=environment, cwd=folder / "cwd", capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"wandb sync {folder / 'board' / 'wandb'}" in done.stderr
    assert done.stdout == ""
    return Place(folder, isolated)


@pytest.fixture(scope="module")
def records(place: Place) -> dict[str, list[dict[str, Any]]]:
    """The records of each run by its id, read back with the client's own command."""
    return {folder.name.rpartition("-")[2]: inspect(folder) for folder in place.own.glob("offline-run-*")}


def inspect(folder: Path) -> list[dict[str, Any]]:
    environment = {**os.environ, "WANDB_ERROR_REPORTING": "false"}
    command = [sys.executable, "-P", "-m", "wandb", "leet", "inspect", "--json", str(folder)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def told(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record[kind] for record in records if record["type"] == kind]


def history(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [line["item"] for line in told(records, "history")]


def about(records: list[dict[str, Any]]) -> dict[str, Any]:
    (first,) = told(records, "run")
    return first


def trials(records: Mapping[str, list[dict[str, Any]]]) -> dict[tuple[Any, ...], list[dict[str, Any]]]:
    """The records of trials by entry and seed."""
    found = {}
    for lines in records.values():
        config = about(lines)["config"]["update"]
        if about(lines)["job_type"] == "trial":
            found[config["entry"], config["seed"]] = lines
    return found


def leaderboard(records: Mapping[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
    (found,) = [lines for lines in records.values() if about(lines)["job_type"] == "leaderboard"]
    return found


def table(place: Place, lines: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    (path,) = {line[f"{name}.path"] for line in history(lines) if f"{name}.path" in line}
    (folder,) = place.own.glob(f"offline-run-*-{about(lines)['run_id']}")
    content = json.loads((folder / "files" / path).read_text())
    return [dict(zip(content["columns"], row, strict=True)) for row in content["data"]]


def results(place: Place) -> Results:
    return Results("mine", read_rows(place.board), read_details(place.board), read_provenance(place.board))


def rows_of(place: Place) -> list[dict[str, Any]]:
    return [row.to_json() for row in read_rows(place.board)]


def details_of(place: Place) -> list[dict[str, Any]]:
    return [line.to_json() for line in read_details(place.board)]


def name_of(row: Mapping[str, Any]) -> str:
    if row["role"] == "analyse":
        return f"analysis/{row['metric']}"
    aside = "@16it" if row["position"] == "16it" and "early" not in row["metric"] else ""
    return f"tickets/{row['split']}/{row['metric']}{aside}"


def test_a_run_of_a_method_that_does_not_apply_says_so_and_why(place: Place) -> None:
    whole = results(place)
    said = {"role": "find", "metric": "", "split": "", "unit": "", "position": "", "value": None, "key": ""}
    said |= {"entry": "slimming", "outcome": "inapplicable", "note": "no batch norm"}
    apart = whole.rows[0].model_copy(update=said | dict.fromkeys(("density", "density_all", "density_macs")))
    *_, run, _ = runs_of(replace(whole, rows=[*whole.rows, apart]), board_of(whole), "p", None)
    assert run.content["notes"].startswith("The method does not apply to this network, and nothing was run: no batch n")
    assert "inapplicable" in run.content["tags"]
    assert run.content["summary"]["outcomes"] == {"inapplicable": 1}


def test_there_is_a_run_for_each_trial_and_one_for_the_leaderboard(
    records: dict[str, list[dict[str, Any]]],
) -> None:
    assert set(trials(records)) == {(entry, seed) for entry in ("dense", "imp", "rein/it") for seed in (0, 1)}
    assert len(records) == 7
    for (entry, seed), lines in trials(records).items():
        run = about(lines)
        assert (run["run_group"], run["project"]) == ("mine", "prunebench")
        assert run["tags"] == [entry, "toy-net", "toy-data"]
        assert run["display_name"] == f"{entry}, toy-net, toy-data, seed {seed}"
        assert told(lines, "exit")[0].get("exit_code", 0) == 0
    assert about(leaderboard(records))["run_group"] == "mine"


def test_every_number_of_the_results_is_in_the_history_of_its_trial_to_the_last_digit(
    place: Place, records: dict[str, list[dict[str, Any]]]
) -> None:
    by_trial = trials(records)
    rows = rows_of(place)
    for row in rows:
        lines = [
            line
            for line in history(by_trial[row["entry"], row["seed"]])
            if (line.get("round"), line.get("draw")) == (row["round"], row["draw"])
        ]
        assert [line[name_of(row)] for line in lines] == [row["value"]], row
        assert [line.get("density") for line in lines] == [row["density"]]
        assert [line.get("density_all") for line in lines] == [row["density_all"]]
    shown = sum(
        name.startswith(("tickets/", "analysis/"))
        for lines in by_trial.values()
        for line in history(lines)
        for name in line
    )
    assert shown == len(rows) > 100


def test_every_point_of_every_curve_is_in_the_history_at_its_iteration(
    place: Place, records: dict[str, list[dict[str, Any]]]
) -> None:
    by_trial = trials(records)
    points = 0
    for line in details_of(place):
        if line["kind"] != "evaluation":
            continue
        name = f"round-{line['round']:02d}" + (f"-draw-{line['draw']}" if line["entry"] == "rein/it" else "")
        logged = [
            {key.removeprefix(f"curves/{name}/"): value for key, value in item.items() if not key.startswith("_")}
            for item in history(by_trial[line["entry"], line["seed"]])
            if any(key.startswith(f"curves/{name}/") for key in item)
        ]
        assert logged == line["curve"]
        points += len(logged)
    shown = sum("iteration" in item for lines in by_trial.values() for item in history(lines))
    assert shown == points > 30


@pytest.fixture(scope="module")
def live(place: Place) -> dict[str, list[dict[str, Any]]]:
    """The records of the runs as they were while the benchmark went on."""
    return {folder.name.rpartition("-")[2]: inspect(folder) for folder in (place.folder / "live").glob("offline-run-*")}


def test_live_runs_have_the_same_numbers_under_the_same_ids(
    live: dict[str, list[dict[str, Any]]], records: dict[str, list[dict[str, Any]]]
) -> None:
    published = {id: lines for id, lines in records.items() if about(lines)["job_type"] == "trial"}
    assert set(live) == set(published)

    def numbers(lines: list[dict[str, Any]], *starts: str) -> set[tuple[Any, ...]]:
        return {
            (item.get("iteration"), item.get("round"), item.get("draw"), item.get("density"), name, value)
            for item in history(lines)
            for name, value in item.items()
            if name.startswith(starts)
        }

    for id, lines in live.items():
        assert numbers(lines, "curves/", "tickets/") == numbers(published[id], "curves/", "tickets/")
        counted = [name for item in history(lines) for name in item if name.startswith(("curves/", "tickets/"))]
        assert len(counted) == len(numbers(lines, "curves/", "tickets/"))  # nothing twice
        assert about(lines)["tags"] == about(published[id])["tags"]
        assert about(lines)["config"]["update"]["seed"] == about(published[id])["config"]["update"]["seed"]


def test_live_runs_give_way_to_the_finished_ones(place: Place) -> None:
    assert list((place.board / "log" / "wandb").glob("*run-*")) == []


def test_metrics_have_density_or_the_iteration_as_their_axis(records: dict[str, list[dict[str, Any]]]) -> None:
    for lines in trials(records).values():
        steps = {metric["name"].replace("\\", ""): metric.get("step_metric") for metric in told(lines, "metric")}
        logged = {name for item in history(lines) for name in item if "/" in name and not name.startswith("figures/")}
        assert {name for name in steps if steps[name] is not None} == logged
        for name in logged:
            assert steps[name] == ("iteration" if name.startswith("curves/") else "density")
        assert steps["density"] is None


def test_the_table_of_results_is_results_jsonl(place: Place, records: dict[str, list[dict[str, Any]]]) -> None:
    assert table(place, leaderboard(records), "results") == rows_of(place)


def test_the_table_of_the_leaderboard_averages_draws_within_seeds_and_then_seeds(
    place: Place, records: dict[str, list[dict[str, Any]]]
) -> None:
    rows = rows_of(place)
    lines = table(place, leaderboard(records), "leaderboard")
    assert len(lines) == len({(line["entry"], line["place"]) for line in lines}) == 5
    for line in lines:
        seeds = []
        for seed in (0, 1):
            values = [
                row["value"]
                for row in rows
                if (row["entry"], row["density"], row["seed"]) == (line["entry"], line["place"], seed)
                and (row["split"], row["metric"], row["position"]) == ("test", "accuracy", "24it")
            ]
            assert len(values) == (2 if line["entry"] == "rein/it" else 1)
            seeds.append(sum(values) / len(values))
        assert (line["metric"], line["unit"], line["axis"]) == ("test/accuracy", "fraction", "density")
        assert line["mean"] == pytest.approx(sum(seeds) / 2)
        # t of one degree of freedom
        half = 12.7062047 * abs(seeds[0] - seeds[1]) / 2
        # An accuracy lies between 0 and 1, and so does its interval.
        ends = max(0.0, line["mean"] - half), min(1.0, line["mean"] + half)
        assert (line["low"], line["high"]) == pytest.approx(ends, abs=1e-6)
        assert (line["n"], line["failed"]) == (2, 0)


def artifacts(lines: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [artifact for artifact in told(lines, "artifact") if artifact["type"] == kind]


def test_each_judged_ticket_is_an_artifact_with_the_mask_and_the_weights_of_the_store(
    place: Place, records: dict[str, list[dict[str, Any]]]
) -> None:
    store = {hashlib.sha256(p.read_bytes()).digest() for p in (place.folder / "store").rglob("*.safetensors")}
    assert store
    for (entry, seed), lines in trials(records).items():
        details = [
            line
            for line in details_of(place)
            if (line["entry"], line["seed"], line["kind"]) == (entry, seed, "evaluation")
        ]
        tickets = artifacts(lines, "ticket")
        assert len(tickets) == len(details)
        for line, ticket in zip(details, tickets, strict=True):
            metadata = json.loads(ticket["metadata"])
            assert metadata["addresses"] == line["artifacts"]
            assert metadata["kept"] == {layer["name"]: layer["kept"] for layer in line["layers"]}
            files = {file["path"]: Path(file["local_path"]) for file in ticket["manifest"]["contents"]}
            masked = line["artifacts"]["mask"] is not None
            assert set(files) == {"weights.safetensors", *(["mask.safetensors"] if masked else [])}
            for path in files.values():
                assert place.own in path.parents
                assert hashlib.sha256(path.read_bytes()).digest() in store


def test_the_leaderboards_folder_is_an_artifact_and_its_curves_are_shown(
    place: Place, records: dict[str, list[dict[str, Any]]]
) -> None:
    lines = leaderboard(records)
    (artifact,) = artifacts(lines, "leaderboard")
    files = {file["path"]: Path(file["local_path"]).read_bytes() for file in artifact["manifest"]["contents"]}
    there = {path.name: path.read_bytes() for path in place.board.iterdir() if path.is_file()}
    there.pop("manifest.json", None)  # made when all reports have written
    assert {"README.md", "curves.svg", "results.jsonl", "details.jsonl", "provenance.json"} <= set(files)
    assert files == there
    (path,) = {item["curves.path"] for item in history(lines) if "curves.path" in item}
    (folder,) = place.own.glob(f"offline-run-*-{about(lines)['run_id']}")
    assert (folder / "files" / path).read_bytes() == there["curves.svg"]


def test_the_figures_of_an_analysis_are_shown_with_its_trial(
    place: Place, records: dict[str, list[dict[str, Any]]]
) -> None:
    (item,) = [i for i in history(trials(records)["imp", 0]) if any(name.startswith("figures/") for name in i)]
    (folder,) = place.own.glob(f"offline-run-*-{about(trials(records)['imp', 0])['run_id']}")
    text = (folder / "files" / item["figures/layer-densities/layer-densities.path"]).read_text()
    (line,) = [d for d in details_of(place) if d["kind"] == "analysis" and d["seed"] == 0]
    assert text == line["figures"][0]["svg"]


def test_no_host_is_looked_up_and_no_connection_opened(place: Place) -> None:
    watched = (place.folder / "network.log.processes").read_text()
    assert "_wandb_client.py" in watched
    assert not (place.folder / "network.log").exists()


def test_it_works_where_there_is_no_network_at_all(place: Place) -> None:
    if not place.isolated:
        pytest.skip("no right to make a network namespace here")
    assert len(list(place.own.glob("offline-run-*"))) == 7


def test_nothing_is_written_outside_the_folder_of_the_leaderboard(place: Place) -> None:
    found = {p.relative_to(place.folder / "home").as_posix() for p in (place.folder / "home").rglob("*")}
    # What was rendered into which folder is kept in the user's cache, with W&B or without.
    assert {name for name in found if not name.startswith(".cache/prunebench/")} - {".cache", ".cache/prunebench"} == {
        ".netrc",
        ".config",
        ".config/wandb",
        ".config/wandb/settings",
    }
    assert list((place.folder / "cwd").iterdir()) == []
    assert [path.name for path in (place.folder / "tmp").iterdir() if "wandb" in path.name] == []


def assert_no_secret(folder: Path, secrets: Mapping[str, str]) -> None:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    found = [(path, n) for path in files for n, s in secrets.items() if s.encode() in path.read_bytes()]
    assert found == []


def test_no_secret_of_the_environment_or_of_the_home_folder_is_in_any_file(place: Place) -> None:
    assert len(CANARIES) == 20
    assert_no_secret(place.board, CANARIES)


def test_the_machine_is_not_named(place: Place, records: dict[str, list[dict[str, Any]]]) -> None:
    for lines in records.values():
        assert about(lines)["host"] == "prunebench"
        assert told(lines, "environment") == []
        assert told(lines, "output_raw") == told(lines, "stats") == []


# Publishing again.


@pytest.fixture
def again(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """A copy of the published leaderboard, to publish from once more."""
    for name in ("WANDB_API_KEY", "WANDB_MODE", "WANDB_BASE_URL", "WANDB_PROJECT", "WANDB_ENTITY", "NETRC"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    shutil.copytree(place.board, tmp_path / "board")
    return Place(tmp_path, place.isolated)


def report(place: Place, results: Results, **config: Any) -> None:
    plugin = catalogue().use({"use": "wandb", **config}, slot="report").build()
    assert isinstance(plugin, wandb_.Wandb)
    plugin.prunebench_report(results, board_of(results), place.board)


def folders(place: Place) -> set[str]:
    return {path.name for path in place.own.glob("*run-*")}


def test_publishing_twice_changes_nothing_and_says_how_to_sync(
    again: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    before, marker = folders(again), (again.own / "published.json").read_bytes()
    later = results(again)
    changes = {"wall_seconds": 1e6, "finished": "2100-01-01", "runs": RunCounts(naive=0, distinct=0), "steps": 0}
    provenance = later.provenance.model_copy(update=changes)
    report(again, replace(later, provenance=provenance))
    assert folders(again) == before
    assert (again.own / "published.json").read_bytes() == marker
    assert f"wandb sync {again.own}/offline-run-*" in capsys.readouterr().err


def test_a_changed_number_replaces_its_run_and_the_leaderboards_under_their_old_ids(again: Place) -> None:
    before = folders(again)
    rows = read_rows(again.board)
    place = next(place for place, row in enumerate(rows) if row.entry == "imp" and row.seed == 1)
    rows[place] = rows[place].model_copy(update={"value": 0.123456789})
    report(again, replace(results(again), rows=rows), tickets=False)
    after = folders(again)
    ids = {name.rpartition("-")[2] for name in before}
    assert {name.rpartition("-")[2] for name in after} == ids
    assert len(after) == 7
    changed = [inspect(again.own / name) for name in after - before]
    assert sorted(about(lines)["job_type"] for lines in changed) == ["leaderboard", "trial"]
    (trial,) = [lines for lines in changed if about(lines)["job_type"] == "trial"]
    assert 0.123456789 in [item.get(name_of(rows[place].to_json())) for item in history(trial)]


def test_a_run_that_was_cut_off_is_published_anew(again: Place) -> None:
    marker = json.loads((again.own / "published.json").read_text())
    cut_off = sorted(marker["runs"])[0]
    del marker["runs"][cut_off]
    (again.own / "published.json").write_text(json.dumps(marker))
    report(again, results(again))
    assert len(folders(again)) == 7
    assert cut_off in json.loads((again.own / "published.json").read_text())["runs"]


def test_what_was_synced_is_no_longer_waiting(again: Place, capsys: pytest.CaptureFixture[str]) -> None:
    for folder in again.own.glob("offline-run-*"):
        (folder / f"run-{folder.name.rpartition('-')[2]}.wandb.synced").touch()
    report(again, results(again))
    assert "wandb sync" not in capsys.readouterr().err


def test_a_damaged_record_of_what_was_published_is_an_error(again: Place) -> None:
    (again.own / "published.json").write_text('{"runs": {"x": 1}}')
    with pytest.raises(PrunebenchError, match=r"published\.json: damaged"):
        report(again, results(again))


def test_without_a_network_an_online_run_is_kept_for_later_and_the_key_is_in_no_file(
    again: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(again.own)
    key = "canary" + "0123456789" * 4
    monkeypatch.setenv("WANDB_API_KEY", key)
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # the port "discard", where nothing listens
    report(again, results(again), mode="online", patience=0.5)
    assert len(folders(again)) == 7
    assert all(name.startswith("offline-run-") for name in folders(again))
    message = capsys.readouterr().err
    assert "W&B was not reached" in message
    assert f"wandb sync {again.own}/offline-run-*" in message
    assert key not in message
    assert_no_secret(again.board, {"key": key})


class _LosesTheNetwork(BaseHTTPRequestHandler):
    """A server that lets a run begin, and hangs up on everything that follows."""

    def do_POST(self) -> None:
        asked = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path != "/graphql" or b"upsertBucket" not in asked:
            self.close_connection = True
            return
        name = json.loads(asked)["variables"]["name"]
        project = {"id": "p", "name": "p", "entity": {"id": "e", "name": "e"}}
        bucket = {"id": "b", "name": name, "displayName": name, "config": "{}", "project": project}
        answer = json.dumps({"data": {"upsertBucket": {"bucket": bucket, "inserted": True}}}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)
        assert isinstance(self.server, _Server)
        self.server.begun.append(name)

    def log_message(self, *message: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    begun: list[str]


def test_a_network_that_is_lost_in_the_middle_of_a_run_loses_no_run(
    again: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(again.own)
    with _Server(("127.0.0.1", 0), _LosesTheNetwork) as server:
        server.begun = []
        thread = Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.server_port}")
        report(again, results(again), mode="online", patience=2.0)
        server.shutdown()
        thread.join()
    ids = [run.id for run in published(results(again), "prunebench", None)]
    assert set(server.begun) == {ids[0]}
    assert sorted(name.rpartition("-")[2] for name in folders(again)) == sorted(ids)
    assert all(name.startswith("offline-run-") for name in folders(again))
    assert "W&B was not reached: TimeoutError" in capsys.readouterr().err


def test_off_writes_nothing(again: Place) -> None:
    shutil.rmtree(again.own)
    report(again, results(again), mode="off")
    assert not again.own.exists()


# What decides.


def published(results: Results, project: str, entity: str | None) -> list[Run]:
    return runs_of(results, board_of(results), project, entity)


def test_ids_follow_from_benchmark_trial_and_keys_alone(place: Place) -> None:
    known = results(place)
    ids = [run.id for run in published(known, "a", None)]
    assert len(set(ids)) == 7
    assert ids == [run.id for run in published(known, "b", "somebody")]
    assert not set(ids) & {run.id for run in published(replace(known, name="other"), "a", None)}
    rows = [row.model_copy(update={"key": "0" * 64}) if row.role == "evaluate" else row for row in known.rows]
    assert not set(ids) & {run.id for run in published(replace(known, rows=rows), "a", None)}
    assert set(Published(place.own).runs) == set(ids)


def test_what_has_no_number_is_counted_and_not_drawn(place: Place) -> None:
    known = results(place)
    rows = [row.model_copy(update={"value": None, "outcome": "failed"}) if row.seed == 1 else row for row in known.rows]
    *found, board = published(replace(known, rows=rows), "p", None)
    failed = [run.content for run in found if run.content["config"]["seed"] == 1]
    for content in failed:
        assert set(content["summary"]["outcomes"]) == {"failed"}
        assert not any(name.startswith("tickets/") for line in content["history"] for name in line)
    lines = board.content["tables"]["leaderboard"]
    counts = [lines["columns"].index(name) for name in ("n", "failed")]
    assert {tuple(row[place] for place in counts) for row in lines["data"]} == {(1, 1)}


@pytest.mark.parametrize(
    ("asked", "environ", "key", "mode"),
    [
        ("auto", {}, None, "offline"),
        ("auto", {}, "key", "online"),
        ("auto", {"WANDB_MODE": "offline"}, "key", "offline"),
        ("auto", {"WANDB_MODE": "disabled"}, "key", "off"),
        ("offline", {"WANDB_MODE": "online"}, "key", "offline"),
        ("online", {"WANDB_MODE": "disabled"}, "key", "online"),
        ("off", {}, "key", "off"),
    ],
)
def test_the_file_decides_then_the_environment_then_whether_there_is_a_key(
    asked: str, environ: dict[str, str], key: str | None, mode: str
) -> None:
    assert wandb_.mode_of(asked, environ, key) == mode


def test_the_key_is_found_in_the_environment_or_under_the_servers_name_in_netrc(tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text(
        "machine api.wandb.ai login user password one\nmachine w.example login user password two\n"
    )
    home = {"HOME": str(tmp_path)}
    assert wandb_.api_key({**home, "WANDB_API_KEY": "zero"}) == "zero"
    assert wandb_.api_key(home) == "one"
    assert wandb_.api_key({**home, "WANDB_BASE_URL": "https://w.example:8080"}) == "two"
    assert wandb_.api_key({**home, "WANDB_BASE_URL": "https://x.example"}) is None
    assert wandb_.api_key({**home, "NETRC": str(tmp_path / "none")}) is None


def test_online_without_a_key_is_an_error_before_anything_trains(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("NETRC", raising=False)
    (tmp_path / "mine.toml").write_text(FILE.replace('["wandb"]', '[{ use = "wandb", mode = "online" }]'))
    with pytest.raises(ConfigError, match=r"report\.also.*there is no key"):
        prepare(Options(tmp_path / "mine.toml", store=tmp_path / "store"), catalogue())


def test_a_file_that_names_it_where_the_package_is_missing_is_an_error_that_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)
    (tmp_path / "mine.toml").write_text(FILE)
    with pytest.raises(ConfigError, match=r'report\.also.*"wandb" is not installed.*prunebench\[wandb\]'):
        prepare(Options(tmp_path / "mine.toml", store=tmp_path / "store"), catalogue())
