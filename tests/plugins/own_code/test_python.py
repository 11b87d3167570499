"""Networks and data of a user's own module, through the public command."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from prunebench import PlanError
from prunebench.api.errors import ConfigError
from prunebench.api.info import DataInfo
from prunebench.api.random import Streams
from prunebench.commands.main import main
from prunebench.components.catalogue import Catalogue
from prunebench.runner.preparing import Options, prepare
from prunebench_plugins.own_code.python_ import Python, PythonConfig

MAIN = "from prunebench.commands.main import main; main()"
MODULE = """
import torch
from torch import nn

def net(classes, shape, width=8):
    pixels = shape[0] * shape[1] * shape[2]
    return nn.Sequential(nn.Flatten(), nn.Linear(pixels, width), nn.ReLU(), nn.Linear(width, classes))

def data(count=64):
    generator = torch.Generator().manual_seed(0)
    images = torch.rand(count, 1, 4, 4, generator=generator)
    labels = (images.mean((1, 2, 3)) * 8).long() % 3
    labels[:3] = torch.arange(3)
    return {"train": (images, labels), "test": list(zip(images[:16], labels[:16]))}

def nothing():
    return None

def crooked():
    return {"train": (torch.zeros(3, 1), torch.zeros(2)), "test": (torch.zeros(1, 1), torch.zeros(1))}
"""
FILE = """
schema = 1
seeds = [0]
cut = 0.5
rounds = 1

[data]
use = "python"
factory = "{module}:data"
valid = 16

[model]
use = "python"
factory = "{module}:net"
label = "own"
args = {{ width = 12 }}

[train]
horizon = "6it"
batch = 8
optimizer = {{ use = "sgd", lr = 0.1 }}

[execution]
workers = 0

[[entry]]
name = "imp"
schedule = "rewind"
score = "magnitude"
select = "global"
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> str:
    """A module of a user's own, where the command is started."""
    name = f"own_{abs(hash(request.node.name)) % 10**8}"
    (tmp_path / f"{name}.py").write_text(MODULE)
    (tmp_path / "file.toml").write_text(FILE.format(module=name))
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return name


@pytest.fixture
def trusted(module: str, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("PRUNEBENCH_PYTHON", module)
    return module


def made(factory: str, **more: Any) -> Python:
    return Python(PythonConfig.model_validate({"factory": factory, **more}))


def command(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_a_module_of_ones_own_runs_from_end_to_end(module: str, tmp_path: Path) -> None:
    words = ["run", "file.toml", "--python", module, "--store", str(tmp_path / "store"), "--out", "board"]
    done = subprocess.run([sys.executable, "-c", MAIN, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [json.loads(line) for line in Path("board/results.jsonl").read_text().splitlines()]
    assert {row["model"] for row in rows} == {"own"}
    assert 0.5 in {row["density"] for row in rows if row["role"] == "evaluate"}


def test_code_runs_only_if_the_command_says_so(module: str) -> None:
    done = command("check", "file.toml")
    assert done.exit_code == 2
    assert f'the file wants to run code of "{module}"; if you trust it, say --python {module}' in done.output


@pytest.mark.parametrize("other", ["os", "own", ""])
def test_trusting_one_module_trusts_no_other(module: str, other: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNEBENCH_PYTHON", other)
    with pytest.raises(ConfigError, match="wants to run code of"):
        prepare(Options(Path("file.toml")))


def test_a_changed_source_is_another_key(trusted: str, tmp_path: Path) -> None:
    def key() -> object:
        return Catalogue.load().use({"use": "python", "factory": f"{trusted}:net"}).to_json()

    before = key()
    assert key() == before
    with (tmp_path / f"{trusted}.py").open("a") as file:
        file.write("# another\n")
    assert key() != before


def test_a_phase_that_was_planned_with_another_source_is_refused(trusted: str, tmp_path: Path) -> None:
    planned = Catalogue.load().use({"use": "python", "factory": f"{trusted}:net"}).to_json()
    with (tmp_path / f"{trusted}.py").open("a") as file:
        file.write("# another\n")
    with pytest.raises(ValueError, match="is not the one that was stated"):
        Catalogue.load().from_json(planned)


def test_a_module_of_a_package_is_digested_with_the_whole_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package = tmp_path / "own_package"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "nets.py").write_text(MODULE)
    (package / "parts.py").write_text("WIDTH = 3\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PRUNEBENCH_PYTHON", "own_package")
    config = {"factory": "own_package.nets:net"}
    before = PythonConfig.model_validate(config).source
    (package / "parts.py").write_text("WIDTH = 4\n")
    assert PythonConfig.model_validate(config).source != before


def test_held_out_examples_are_others_for_each_seed_and_the_digest_is_the_sources(trusted: str) -> None:
    python = made(f"{trusted}:data", valid=10)
    a, b = (python.prunebench_data(Streams(seed).rng("split")) for seed in (0, 1))
    assert dict(a.info.sizes) == {"train": 54, "valid": 10, "test": 16}
    assert a.info.classes == 3
    assert a.info.digest == b.info.digest
    assert not torch.equal(a["valid"].inputs, b["valid"].inputs)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("nothing", "must return a mapping"),
        ("crooked", "has 3 inputs and 2 targets"),
        ("absent", "nothing that can be called"),
    ],
)
def test_data_that_are_none_are_refused_by_name(trusted: str, name: str, says: str) -> None:
    with pytest.raises(PlanError, match=f"{trusted}:{name}.*{says}"):
        made(f"{trusted}:{name}").prunebench_data(Streams(0).rng("split"))


def test_a_function_that_makes_no_network_or_takes_other_arguments_is_refused(trusted: str) -> None:
    info = DataInfo("d", "", {"train": 1}, (1, 4, 4), 3)
    with pytest.raises(PlanError, match=r"returned NoneType, not an nn.Module"):
        made(f"{trusted}:nothing").prunebench_model(info)
    with pytest.raises(PlanError, match="unexpected keyword argument 'depth'"):
        made(f"{trusted}:net", args={"depth": 3}).prunebench_model(info)


@pytest.mark.parametrize("factory", ["net", "a b:net", "mod:", ":net", "mod:a-b", "../x:y"])
def test_what_is_no_path_to_a_function_is_refused(factory: str) -> None:
    with pytest.raises(ValueError, match="MODULE:FUNCTION"):
        PythonConfig.model_validate({"factory": factory})


def test_a_module_that_is_not_there_says_where_to_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNEBENCH_PYTHON", "no_such_module")
    with pytest.raises(ValueError, match='no module "no_such_module" on the path'):
        PythonConfig.model_validate({"factory": "no_such_module:net"})
