"""`prunebench init` writes a file that is valid at once."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path

import jsonschema
import pytest
from click.testing import CliRunner, Result

from prunebench.commands.main import main
from prunebench.runner.preparing import Options, prepare


def init(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["init", *map(str, arguments)])


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("init") / "mine.toml"
    done = init(file)
    assert done.exit_code == 0, done.output
    assert "72 training runs" in done.output
    return file


def test_the_file_plans_as_it_is_and_in_its_smoke_profile(written: Path) -> None:
    assert len(prepare(Options(written)).plan.runs) == 72
    assert len(prepare(Options(written, profile="smoke")).plan.runs) == 12


def test_the_schema_beside_it_is_what_its_first_line_names_and_accepts_it(written: Path) -> None:
    first = written.read_text().splitlines()[0]
    schema = json.loads((written.parent / first.removeprefix("#:schema ")).read_text())
    jsonschema.validate(tomllib.loads(written.read_text()), schema)


def test_a_network_and_data_of_ones_choice(tmp_path: Path) -> None:
    done = init(tmp_path / "deep" / "net.toml", "--model", "cifar_resnet8", "--data", "mnist5k", "--units", "channels")
    assert done.exit_code == 0, done.output
    table = tomllib.loads((tmp_path / "deep" / "net.toml").read_text())
    assert table["model"]["name"] == "cifar_resnet8"
    assert table["entry"][1]["units"] == "channels"


def test_a_file_that_is_there_is_kept_unless_asked(written: Path) -> None:
    before = written.read_text()
    done = init(written, "--model", "other")
    assert done.exit_code == 2
    assert "there is a file of that name; --force writes over it" in done.output
    assert written.read_text() == before


def test_what_does_not_run_yet_is_said_and_the_file_stays(tmp_path: Path) -> None:
    done = init(tmp_path / "net.toml", "--model", 'lenet_300"_100')
    assert done.exit_code == 2
    assert "no network" in done.output
    assert "does not run yet" in done.output
    assert tomllib.loads((tmp_path / "net.toml").read_text())["model"]["name"] == 'lenet_300"_100'


def test_a_name_that_no_command_would_take_is_refused(tmp_path: Path) -> None:
    done = init(tmp_path / "net.yaml")
    assert done.exit_code == 2
    assert 'ends in ".toml"' in done.output
