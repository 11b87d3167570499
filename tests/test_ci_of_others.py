"""What other people's CI calls: the action, the workflow, and what docs/how-to/ci.md says of them."""

from __future__ import annotations

import configparser
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / "docs" / "how-to" / "ci.md").read_text(encoding="utf-8")
ACTION = yaml.safe_load((ROOT / ".github" / "actions" / "verify" / "action.yml").read_text())
# YAML 1.1 reads the key `on` as true.
WORKFLOW = yaml.safe_load((ROOT / ".github" / "workflows" / "verify-leaderboard.yml").read_text())
STEPS: list[dict[str, Any]] = WORKFLOW["jobs"]["verify"]["steps"]


def script(steps: list[dict[str, Any]]) -> dict[str, Any]:
    (found,) = (step for step in steps if step.get("id") == "verify")
    return found


def executed(step: dict[str, Any], folder: Path, code: int, sample: str) -> tuple[int, str, str, str]:
    """A step's exit code, what it asked of prunebench (a stand-in, which answers), its output and its summary."""
    (folder / "bin").mkdir()
    stand_in = folder / "bin" / "prunebench"
    stand_in.write_text(f'#!/bin/bash\nprintf "%s\\n" "$@" > asked\necho "two numbers differ"\nexit {code}\n')
    stand_in.chmod(0o755)
    values = {"inputs.folder": "boards/a b", "inputs.sample": sample}
    env = {k: re.sub(r"\${{ (.*?) }}", lambda found: values[found[1]], v) for k, v in step["env"].items()}
    env |= {"GITHUB_OUTPUT": str(folder / "output"), "GITHUB_STEP_SUMMARY": str(folder / "summary")}
    path = f"{folder / 'bin'}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        env={**os.environ, **env, "PATH": path},
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    asked, output, summary = ((folder / name).read_text() for name in ("asked", "output", "summary"))
    return done.returncode, asked, output, summary


@pytest.mark.parametrize("steps", [ACTION["runs"]["steps"], STEPS], ids=["action", "workflow"])
@pytest.mark.parametrize("code", [0, 1])
def test_the_verdict_is_the_output_and_fails_the_job_if_something_does_not_hold(
    steps: list[dict[str, Any]], code: int, tmp_path: Path
) -> None:
    returned, asked, output, summary = executed(script(steps), tmp_path, code, "3")
    assert returned == code
    assert asked.splitlines() == ["verify", "boards/a b", "--sample", "3"]
    assert re.fullmatch(r"verdict<<(\w+)\ntwo numbers differ\n\1\n", output)
    assert "two numbers differ" in summary


def test_an_empty_sample_is_the_whole_board(tmp_path: Path) -> None:
    _, asked, _, _ = executed(script(STEPS), tmp_path, 0, "")
    assert asked.splitlines() == ["verify", "boards/a b"]


def test_the_workflow_does_what_the_action_does() -> None:
    assert script(STEPS) == script(ACTION["runs"]["steps"])
    inputs = WORKFLOW[True]["workflow_call"]["inputs"]
    assert {name: one["description"] for name, one in ACTION["inputs"].items() if name != "package"}.items() <= {
        name: one["description"] for name, one in inputs.items()
    }.items()


def test_the_workflow_needs_nothing_of_the_callers_checkout() -> None:
    # `./` would be a folder of the repository that calls.
    assert [step["uses"] for step in STEPS if step.get("uses", "").startswith(".")] == []


def test_the_action_installs_the_version_that_it_is_of() -> None:
    (above,) = re.findall(r"[{]0[}]([/.]+)", str(ACTION["runs"]["steps"]))
    assert (ROOT / ".github" / "actions" / "verify" / above.strip("/")).resolve() == ROOT


def test_what_the_page_passes_is_an_input() -> None:
    step, jobs = (yaml.safe_load(text) for text in re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL))
    assert set(step[0]["with"]) <= set(ACTION["inputs"])
    (called,) = jobs["jobs"].values()
    assert set(called["with"]) <= set(WORKFLOW[True]["workflow_call"]["inputs"])
    for used, file in ((step[0]["uses"], "/action.yml"), (called["uses"], "")):
        assert (ROOT / (used.removeprefix("OWNER/prunebench/").removesuffix("@TAG") + file)).is_file()


def test_the_pages_test_module_collects_contracts() -> None:
    (text,) = re.findall(r"^```py\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    names: dict[str, Any] = {}
    exec(text.replace("my-package", "prunebench"), names)
    assert "TestMagnitudeScore" in names


def test_the_pages_tox_file_is_one() -> None:
    (text,) = re.findall(r"^```ini\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    parsed = configparser.ConfigParser()
    parsed.read_string(text)
    assert parsed["testenv"]["commands"].split()[0] == "pytest"
