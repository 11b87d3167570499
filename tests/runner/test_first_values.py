"""`check` refuses networks whose first outputs or losses are not finite, and no others."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from prunebench.results.folder import read_results

NETWORKS = """
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self, classes, how):
        super().__init__()
        self.how, self.body, self.head = how, nn.Linear(784, 8), nn.Linear(8, classes)
        if how == "unset":
            with torch.no_grad():
                self.body.bias[0] = float("nan")
        if how == "buffer":
            self.register_buffer("mask", torch.full((classes,), -torch.inf))

    def forward(self, images):
        pixels = images.flatten(1)
        outputs = self.head(self.body(pixels).relu())
        if self.how == "nan":
            return outputs - torch.log(outputs.square().mul(-1))
        if self.how == "overflow":
            return outputs * 1e38 * 1e3
        if self.how == "training":
            return outputs / 0 if self.training else outputs
        if self.how == "positive":  # a root of what no image has, so that made-up inputs give NaN
            return outputs + pixels.add(1).sqrt().mean(1, keepdim=True)
        return outputs


def net(classes, shape, how="sound"):
    return Net(classes, how)
"""

FILE = """
schema = 1
claim = "It is finite"
seeds = [0, 1]

[data]
use = "mnist5k"

[model]
use = "python"
factory = "networks_of_a_test:net"
args = {{ how = "{how}" }}

[train]
horizon = "20it"
batch = 50
optimizer = {{ use = "adam", lr = 3e-3 }}

[[entry]]
name = "dense"
"""


def command(folder: Path, *words: str) -> tuple[int, str]:
    """A command on the file, in a process of its own as a user's is: what it trusts to run holds for a process."""
    ours = [sys.executable, "-m", "prunebench", words[0], "mine.toml", "--python", "networks_of_a_test", *words[1:]]
    done = subprocess.run(ours, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, " ".join((done.stdout + done.stderr).split())


def check(how: str, folder: Path, monkeypatch: pytest.MonkeyPatch, init: str = "") -> tuple[int, str]:
    (folder / "networks_of_a_test.py").write_text(NETWORKS)
    (folder / "mine.toml").write_text(FILE.format(how=how).replace("[train]", f"{init}\n[train]"))
    monkeypatch.setenv("PRUNEBENCH_STORE", str(folder / "store"))
    return command(folder, "check")


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("nan", "its outputs in evaluation are not finite (40 of 40 are nan)"),
        ("training", "its outputs in training are not finite"),
        ("overflow", "are inf"),
        ("unset", '"body.bias" is not finite before any training; let its constructor set every value'),
    ],
)
def test_a_network_that_is_not_finite_is_refused_by_name(
    how: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, output = check(how, tmp_path, monkeypatch)
    assert code == 2, output
    assert 'on data "mnist5k"' in output
    assert says in output


@pytest.mark.parametrize("how", ["sound", "buffer", "positive"])
def test_a_network_that_is_finite_on_the_data_is_not(how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = check(how, tmp_path, monkeypatch)
    assert code == 0, output
    assert ": ok." in output


def test_what_an_initialiser_sets_is_what_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    code, output = check("unset", tmp_path, monkeypatch, 'init = "kaiming_normal"')
    assert code == 0, output


def test_a_file_of_weights_that_are_not_finite_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = {"body.weight": (8, 784), "body.bias": (8,), "head.weight": (10, 8), "head.bias": (10,)}
    weights = {name: torch.zeros(shape) for name, shape in shapes.items()}
    weights["body.weight"][0, 0] = float("nan")
    monkeypatch.setenv("PRUNEBENCH_DATA", str(tmp_path))
    torch.save(weights, tmp_path / "odd.pt")
    code, output = check("sound", tmp_path, monkeypatch, 'weights = "odd.pt"')
    assert code == 2, output
    assert '"body.weight" is not finite in odd.pt; load other weights' in output


@pytest.mark.parametrize("how", ["nan", "unset"])
def test_a_run_that_is_not_finite_before_it_trained_fails_and_says_so(
    how: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "networks_of_a_test.py").write_text(NETWORKS)
    (tmp_path / "mine.toml").write_text(FILE.format(how=how))
    monkeypatch.setenv("PRUNEBENCH_STORE", str(tmp_path / "store"))
    code, said = command(tmp_path, "run", "--out", "board", "--workers", "0")
    assert code == 1, said
    assert (
        "its weights or the loss of its first step are not finite, before it trained; `prunebench check` says" in said
    )
    assert {row.outcome for row in read_results(tmp_path / "board").rows} == {"failed"}
