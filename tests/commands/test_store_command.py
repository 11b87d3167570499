"""`prunebench store`, and a run whose store is a bucket."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from prunebench.commands.main import main


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNEBENCH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PRUNEBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(study(0))
    (tmp_path / "other.toml").write_text(study(1))


def study(seed: int) -> str:
    return f"""
schema = 1
seeds = [{seed}]
cut = 0.2
rounds = 1

[data]
use = "mnist5k"

[model]
name = "lenet_300_100"
init = "xavier_normal"

[train]
horizon = "6it"
batch = 60
optimizer = {{ use = "adam", lr = 1.2e-3 }}

[measure]
every = "3it"

[execution]
workers = 0

[[entry]]
name = "imp"
schedule = "rewind"
score = "magnitude"
select = "layerwise"

[profile.smoke]
train.horizon = "3it"
"""


def prunebench(*arguments: str, code: int = 0) -> Result:
    done = CliRunner().invoke(main, arguments)
    assert done.exit_code == code, done.output
    return done


def numbers(*arguments: str, code: int = 0) -> Any:
    return json.loads(prunebench(*arguments, "--json", code=code).stdout)


def test_an_empty_store_is_said_to_be_empty(tmp_path: Path) -> None:
    assert "nothing is kept there yet" in prunebench("store", "info").output.replace("\n", " ")
    assert numbers("store", "info")["exists"] is False
    assert not (tmp_path / "store").exists()


def test_a_store_is_looked_at_freed_verified_and_copied(tmp_path: Path) -> None:
    for file in ("small.toml", "other.toml"):
        prunebench("run", file, "--out", f"board-{file}")
    kept = numbers("store", "info", "small.toml")
    (small,) = kept["files"]
    assert 0 < small["there"]["count"] < kept["payloads"]["count"]
    assert small["there"]["count"] + kept["unneeded"]["count"] == kept["payloads"]["count"]
    assert small["there"]["bytes"] + kept["unneeded"]["bytes"] == kept["payloads"]["bytes"]
    assert small["asked"] > small["there"]["count"]  # the profile asks for others, which were not run
    shown = prunebench("store", "info", "small.toml", "other.toml").output
    assert all(len(line) <= 80 for line in shown.splitlines())
    assert "By environment" in shown

    # Copying: the results alone, then all of it; the second time everything is there.
    push = ("store", "push", str(tmp_path / "copy"))
    results = numbers(*push, "small.toml")
    everything = numbers(*push)
    assert 0 < results["copied"] < small["there"]["count"]
    assert everything["there"] == results["copied"]
    assert everything["copied"] + everything["there"] == kept["payloads"]["count"]
    assert numbers(*push)["copied"] == 0
    assert "is both the source and the target" in prunebench("store", "push", str(tmp_path / "store"), code=2).output

    # Freeing: nothing happens without --yes; what the named file needs stays.
    before = numbers("store", "info")["payloads"]
    assert numbers("store", "gc", "small.toml")["freed"] is False
    # Nothing that a run of these files left is free to go: not the judged weights either, which `export` needs.
    assert numbers("store", "gc", "small.toml", "other.toml")["unneeded"]["count"] == 0
    told = prunebench("store", "gc", "small.toml").output
    assert "Would free" in told
    assert "--yes" in told
    assert numbers("store", "info")["payloads"] == before
    freed = numbers("store", "gc", "small.toml", "--yes")
    after = numbers("store", "info", "small.toml")
    assert freed["unneeded"] == kept["unneeded"]
    assert after["payloads"] == freed["kept"] == small["there"]
    assert after["records"] == kept["records"]
    assert numbers("plan", "small.toml")["runs"]["cached"] > 0
    assert numbers("plan", "other.toml")["phases"]["missing"] > 0

    # Pulling brings it back.
    pulled = numbers("store", "pull", str(tmp_path / "copy"))
    assert pulled["copied"] == kept["unneeded"]["count"]
    assert numbers("plan", "other.toml")["phases"]["missing"] == 0

    # Verifying finds what was damaged, and sets it aside.
    assert numbers("store", "verify")["damaged"] == []
    path = next(path for path in sorted((tmp_path / "copy" / "objects").rglob("*.safetensors")))
    path.write_bytes(b"x" * path.stat().st_size)
    assert prunebench("store", "pull", str(tmp_path / "copy")).exit_code == 0  # the target has it already
    found = numbers("store", "verify", "--store", str(tmp_path / "copy"), code=1)
    assert found["damaged"] == [path.parent.parent.name]
    assert numbers("store", "verify", "--store", str(tmp_path / "copy"))["damaged"] == []


def test_a_result_that_differs_is_not_copied_over(tmp_path: Path) -> None:
    from prunebench.store.environment import Environment
    from prunebench.store.store import Store

    here = Environment({"torch": "2.9.0"})
    for folder, data in (("store", b"one"), ("copy", b"two")):
        Store(tmp_path / folder, environment=here).put("ab" * 32, {"w": data}, {}, [])
    done = CliRunner().invoke(main, ["store", "push", str(tmp_path / "copy")])
    assert done.exit_code == 1
    assert "did not reproduce its digest" in done.output
    assert Store(tmp_path / "copy", environment=here).get("ab" * 32).files == {"w": b"two"}


def test_nothing_is_freed_for_a_file_with_an_error(tmp_path: Path) -> None:
    prunebench("run", "small.toml", "--out", "board")
    before = numbers("store", "info")
    (tmp_path / "bad.toml").write_text(study(0).replace("magnitude", "magnitud"))
    assert "magnitud" in prunebench("store", "gc", "small.toml", "bad.toml", "--yes", code=2).output
    assert numbers("store", "info") == before


def test_a_place_that_cannot_be_a_store_is_refused_before_anything_trains() -> None:
    refused = prunebench("run", "small.toml", "--store", "ftp://host/x", code=1)
    assert "ftp://host/x: a store is a folder, or one of s3://" in refused.output


def test_a_file_is_run_planned_and_exported_with_a_bucket_as_its_store(bucket: str, tmp_path: Path) -> None:
    # With workers of their own processes, which are given the store by its URL.
    workers = ("--set", "execution.workers=2")
    ran = prunebench("run", "small.toml", "--store", bucket, "--out", "bucket", *workers)
    assert bucket not in (tmp_path / "bucket" / "README.md").read_text()
    prunebench("run", "small.toml", "--store", str(tmp_path / "folder"), "--out", "board")
    results = [(tmp_path / name / "results.jsonl").read_bytes() for name in ("bucket", "board")]
    assert results[0] == results[1], ran.output
    plan = numbers("plan", "small.toml", "--store", bucket)
    assert (plan["phases"]["missing"], plan["runs"]["cached"]) == (0, plan["runs"]["distinct"])
    prunebench("export", "small.toml", "--entry", "imp", "--to", "network", "--store", bucket)
    assert (tmp_path / "network" / "weights.safetensors").is_file()
    kept = numbers("store", "info", "--store", bucket)["payloads"]
    assert numbers("store", "push", bucket, "--store", str(tmp_path / "folder"))["copied"] == 0
    assert numbers("store", "pull", bucket, "--store", str(tmp_path / "third"))["copied"] == kept["count"]
    assert numbers("store", "gc", "other.toml", "--store", bucket, "--yes")["unneeded"] == kept
    assert numbers("store", "verify", "--store", bucket)["damaged"] == []
    assert numbers("store", "info", "--store", bucket)["payloads"]["count"] == 0
