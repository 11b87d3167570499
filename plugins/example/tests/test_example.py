import json
import subprocess
import sys
from pathlib import Path

import torch
from prunebench_example.magnitude_noise import MagnitudeNoise, MagnitudeNoiseConfig

from prunebench.api.random import Rng
from prunebench.testing import AnalyseContract, ScoreContract, two_layer_net, weight_units

PRUNEBENCH = Path(sys.executable).with_name("prunebench")

FILE = """
schema = 1
seeds = [0]
cut = 0.5
rounds = 1

[data]
use = "mnist5k"

[model]
name = "lenet_300_100"

[train]
horizon = "20it"
batch = 60
optimizer = { use = "adam", lr = 1.2e-3 }

[[entry]]
name = "noisy"
schedule = "rewind"
score = { use = "magnitude-noise", spread = 0.3 }
select = "global"
analyse = "alive"

[execution]
workers = 0
"""


class TestMagnitudeNoise(ScoreContract):
    component = {"use": "magnitude-noise", "spread": 0.3}


class TestAlive(AnalyseContract):
    component = {"use": "alive"}


def test_without_spread_the_score_is_the_magnitude() -> None:
    units = weight_units(two_layer_net())
    plain = units.reduce(lambda name, weight: weight.abs()).flat()
    assert torch.equal(MagnitudeNoise(MagnitudeNoiseConfig(spread=0)).prunebench_score(units, Rng("a")).flat(), plain)
    assert not torch.equal(MagnitudeNoise(MagnitudeNoiseConfig()).prunebench_score(units, Rng("a")).flat(), plain)


def test_a_benchmark_that_names_the_components_runs_and_its_leaderboard_holds_the_entry(tmp_path: Path) -> None:
    (tmp_path / "noise.toml").write_text(FILE)
    command = [PRUNEBENCH, "run", "noise.toml", "--store", "store", "--out", "out"]
    subprocess.run(command, cwd=tmp_path, check=True)
    rows = [json.loads(line) for line in (tmp_path / "out" / "results.jsonl").read_text().splitlines()]
    judged = [row for row in rows if row["metric"] == "accuracy" and row["split"] == "test"]
    assert judged
    assert {(row["entry"], row["outcome"]) for row in judged} == {("noisy", "ok")}
    assert {row["metric"] for row in rows if row["metric"].startswith("alive/")} == {
        "alive/fc1.weight",
        "alive/fc2.weight",
    }
    assert "noisy" in (tmp_path / "out" / "README.md").read_text()


def test_the_list_of_plugins_says_where_the_components_come_from() -> None:
    listed = subprocess.run([PRUNEBENCH, "plugins", "list"], capture_output=True, text=True, check=True).stdout
    lines = [line for line in listed.splitlines() if "magnitude-noise" in line]
    assert len(lines) == 1
    assert "prunebench-example" in lines[0]
