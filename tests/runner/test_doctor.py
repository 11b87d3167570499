"""`prunebench doctor` finds what is there and what is not."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from prunebench.commands.main import main
from prunebench.runner import doctor


def found(store: Path) -> dict[str, list[doctor.Finding]]:
    findings: dict[str, list[doctor.Finding]] = {}
    for finding in doctor.examine(store):
        findings.setdefault(finding.subject, []).append(finding)
    return findings


def test_a_machine_that_runs_the_tests_lacks_nothing_that_runs_need(tmp_path: Path) -> None:
    findings = found(tmp_path / "store")
    assert not [f for several in findings.values() for f in several if f.state == "missing"]
    assert {"prunebench", "Python", "torch", "timm", "CPU", "plugins", "data sets", "store", "disk"} <= set(findings)
    assert "mnist5k" in findings["data sets"][0].text
    assert not (tmp_path / "store").exists(), "a look leaves nothing"


def test_what_is_missing_says_how_to_mend_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNEBENCH_DATA", str(tmp_path / "nothing"))
    monkeypatch.setattr(doctor, "find_spec", lambda name: None if name in ("onnx", "pandas") else object())
    monkeypatch.setattr(doctor, "SPARE", 2**80)
    findings = found(tmp_path)
    assert findings["data root"][0].state == "optional"
    assert findings["data sets"][1].mend == "prunebench data fetch NAME"
    assert findings["onnx"][0].mend == 'pip install "prunebench[onnx]"'
    assert findings["disk"][0].state == "missing"


def test_a_store_that_cannot_be_written_is_amiss(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    (finding,) = found(file)["store"]
    assert finding.state == "missing"
    assert "--store" in finding.mend


def test_a_look_that_fails_does_not_keep_the_others_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> doctor.Iterator[doctor.Finding]:
        raise RuntimeError("odd machine")
        yield

    monkeypatch.setattr(doctor, "_torch", broken)
    findings = found(tmp_path)
    assert findings["broken"][0].text == "RuntimeError: odd machine"
    assert findings["store"][0].state == "ok"


def test_a_login_of_wandb_is_seen_and_never_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    monkeypatch.delenv("WANDB_API_KEY", raising=False)
    monkeypatch.setattr(doctor, "find_spec", lambda name: object())
    assert [f.state for f in doctor._wandb()] == ["optional"]
    (tmp_path / "netrc").write_text("machine api.wandb.ai login user password s3cret")
    (finding,) = doctor._wandb()
    assert finding.state == "ok"
    assert "s3cret" not in finding.text + finding.mend


def test_the_command_lists_them_and_its_exit_code_says_whether_runs_can_go(tmp_path: Path) -> None:
    done = CliRunner().invoke(main, ["doctor", "--store", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[0].startswith("ok  prunebench: version ")
    assert done.output.splitlines()[-1] == "All that runs need is there."
    file = tmp_path / "file"
    file.touch()
    done = CliRunner().invoke(main, ["doctor", "--store", str(file), "--json"])
    assert done.exit_code == 1
    assert {"ok", "missing"} <= {finding["state"] for finding in json.loads(done.output)}
    assert os.listdir(tmp_path) == ["file"]
