"""docs/running-anywhere.md: each table is one that is understood, and each command and job is one that would run.

What belongs to a cluster (srun, ray, scontrol, pip) is stood in for; `prunebench run` is executed up to its training,
as `prunebench check`.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from prunebench.benchmark.tables import Execution
from prunebench.engine.executors.choice import chosen
from prunebench.engine.executors.places import wanted_of

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "running-anywhere.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
STANDING_IN = {
    "pip": 'test "$1" = install',
    "scontrol": 'test "$1 $2" = "show hostnames" && printf "%s\\n" node1 node2',
    "srun": 'while [[ "$1" == --* ]]; do shift; done; exec "$@"',
    "ray": 'test "$1" = symmetric-run; while [[ "$1" != -- ]]; do shift; done; shift; exec "$@"',
    "prunebench": 'test "$1" = run -o "$1" = plan; shift; echo "$@" >> "$SEEN"; '
    f'exec "{sys.executable}" -c "from prunebench.commands.main import main; main()" check "$@"',
}


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCKS if name == language]


@pytest.mark.parametrize("text", blocks("toml"))
def test_each_table_is_understood(text: str) -> None:
    execution = Execution.model_validate(tomllib.loads(text)["execution"])
    assert chosen(execution.executor, wanted_of(execution)).use in ("local", "ray", "submitit")


@pytest.fixture
def standing_in(tmp_path: Path) -> dict[str, str]:
    """Variables of a machine where all that a command calls is there."""
    for name, line in STANDING_IN.items():
        (tmp_path / name).write_text(f"#!/bin/bash\nset -e\n{line}\n")
        (tmp_path / name).chmod(0o755)
    slurm = {"SLURM_JOB_NODELIST": "node[1-2]", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_ID": "7"}
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, **slurm, "PATH": path, "TMPDIR": str(tmp_path), "SEEN": str(tmp_path / "seen")}


def executed(text: str, variables: dict[str, str]) -> list[str]:
    """What `prunebench` was called with."""
    done = subprocess.run(["bash", "-c", text], cwd=ROOT, env=variables, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stdout + done.stderr
    seen = Path(variables["SEEN"])
    return seen.read_text().splitlines() if seen.exists() else []


@pytest.mark.parametrize("text", blocks("sh"))
def test_each_command_and_each_job_would_run(text: str, standing_in: dict[str, str]) -> None:
    assert len(executed(text, standing_in)) == text.count("prunebench run ") + text.count("prunebench plan ")


@pytest.mark.parametrize("text", blocks("yaml"))
def test_each_description_is_one_of_its_kind_and_its_command_would_run(text: str, standing_in: dict[str, str]) -> None:
    yaml = pytest.importorskip("yaml")
    found = yaml.safe_load(text)
    if "apiVersion" in found:
        assert (found["apiVersion"], found["kind"]) == ("ray.io/v1", "RayJob")
        groups = [
            found["spec"]["rayClusterSpec"]["headGroupSpec"],
            *found["spec"]["rayClusterSpec"]["workerGroupSpecs"],
        ]
        volumes = [group["template"]["spec"]["volumes"] for group in groups]
        assert all(one == volumes[0] for one in volumes)
        command = found["spec"]["entrypoint"]
    else:
        assert {"name", "resources", "setup", "run"} <= found.keys()
        command = found["run"]
    assert len(executed(command, standing_in)) == 1


def test_there_is_a_recipe_for_each_place() -> None:
    assert len(blocks("toml")) >= 4
    assert len(blocks("yaml")) == 2
    assert sum("#SBATCH" in text for text in blocks("sh")) == 2
