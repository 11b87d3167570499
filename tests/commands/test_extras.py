"""An extra that is not installed: the command says what installs it, and nothing was trained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

WITHOUT = """
import sys
for module in sys.argv.pop(1).split(","):
    sys.modules[module] = None
from prunebench.commands.main import main
main(prog_name="prunebench")
"""
"""The command where modules cannot be imported: a process of its own, since threads of other tests may import them."""

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
    command = [sys.executable, "-c", WITHOUT, ",".join(modules), *words]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == status, result.stderr
    assert f'pip install "prunebench[{extra}]"' in result.stderr
    assert not (tmp_path / "store" / "objects").exists()
    assert not (tmp_path / "leaderboards").exists()
