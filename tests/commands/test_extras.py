"""An extra that is not installed: the command says what installs it, and nothing was trained."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from prunebench.commands.main import main

STUDY = """
schema = 1
seeds = [0]
cut = 0.2
rounds = 1
data = "mnist5k"
model = { name = "lenet_300_100" }
train = { horizon = "6it", batch = 60, optimizer = { use = "adam", lr = 1.2e-3 } }
measure = { every = "3it" }
execution = { device = "cpu" }

[[entry]]
name = "imp"
schedule = "rewind"
score = "magnitude"
select = "global"
"""
EXPORT = ("export", "small.toml", "--entry", "imp", "--to", "exported", "--onnx")


@pytest.mark.parametrize(
    ("modules", "extra", "words", "status"),
    [
        (["ray"], "ray", ("run", "small.toml", "--executor", "ray"), 2),
        (["submitit"], "slurm", ("run", "small.toml", "--executor", "submitit", "--set", "execution.workers=1"), 2),
        (["obstore", "obstore.exceptions", "obstore.store"], "s3", ("run", "small.toml", "--store", "s3://b/c"), 1),
        (["obstore", "obstore.exceptions", "obstore.store"], "s3", ("plan", "small.toml", "--store", "gs://b/c"), 1),
        (["wandb"], "wandb", ("run", "small.toml", "--wandb", "offline"), 2),
        (["onnxruntime"], "onnx", EXPORT, 2),
    ],
)
def test_a_missing_extra_is_said_with_its_install_line_before_anything_trains(
    modules: list[str],
    extra: str,
    words: tuple[str, ...],
    status: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PRUNEBENCH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PRUNEBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "300")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.toml").write_text(STUDY)
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    result = CliRunner().invoke(main, words)
    assert result.exit_code == status, result.output
    assert f'pip install "prunebench[{extra}]"' in result.output
    assert not (tmp_path / "store" / "objects").exists()
    assert not (tmp_path / "leaderboards").exists()
