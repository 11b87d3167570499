"""One small leaderboard on real digits, made once; each test gets a copy that it may spoil."""

import shutil
from pathlib import Path

import pytest

from prunebench import runner
from prunebench.runner.preparing import Options

FILE = """
schema = 1
claim = "imp beats random"
seeds = [0, 1, 2]
cut = 0.5
rounds = 2

[data]
use = "mnist5k"

[model]
name = "lenet_300_100"
args = { widths = [20, 10] }

[train]
horizon = "30it"
batch = 50
optimizer = { use = "adam", lr = 3e-3 }

[measure]
every = "10it"

[[entry]]
name = "dense"

[[entry]]
name = "imp"
schedule = "rewind"
score = "magnitude"
select = "global"

[[entry]]
name = "random"
extends = "imp"
schedule = "at-init"
score = "random"

[report]
against = "imp"

[[expect]]
source = "Frankle & Carbin 2019"
claim = "imp beats random"
better = "imp"
worse = "random"
density = 0.25

[execution]
workers = 0
"""


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    (folder / "small.toml").write_text(FILE)
    prepared = runner.prepare(Options(folder / "small.toml", store=folder / "store"))
    runner.write(prepared, runner.run(prepared), folder / "board")
    return folder / "board"


@pytest.fixture
def board(made: Path, tmp_path: Path) -> Path:
    """The leaderboard, with its benchmark file beside it."""
    shutil.copy(made.parent / "small.toml", tmp_path)
    return Path(shutil.copytree(made, tmp_path / "board"))
