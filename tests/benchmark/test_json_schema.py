import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from jsonschema import Draft202012Validator

from prunebench.benchmark.json_schema import json_schema
from prunebench.commands.main import main
from prunebench.components.catalogue import Catalogue
from prunebench.testing import toy_catalogue

COMMITTED = Path(__file__).parents[2] / "benchmarks" / "prunebench.schema.json"
FILES = sorted((Path(__file__).parents[2] / "benchmarks").glob("*.toml"))


@pytest.fixture(scope="module")
def validator() -> Draft202012Validator:
    schema = json_schema(Catalogue.load())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def quickstart() -> dict[str, Any]:
    (file,) = (f for f in FILES if f.name == "quickstart.toml")
    return tomllib.loads(file.read_text())


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_every_shipped_file_fits_the_schema(file: Path, validator: Draft202012Validator) -> None:
    assert list(validator.iter_errors(tomllib.loads(file.read_text()))) == []


@pytest.mark.parametrize(
    ("change", "path"),
    [
        (lambda t: t.update(round=3), "$"),
        (lambda t: t["train"].update(batc=60), "$.train"),
        (lambda t: t["train"].update(horizon=1000), "$.train.horizon"),
        (lambda t: t["train"]["optimizer"].update(lrr=1), "$.train.optimizer"),
        (lambda t: t["entry"][1].update(score="magnitud"), "$.entry[1].score"),
        (lambda t: t["entry"][1].update(score="global"), "$.entry[1].score"),
        (lambda t: t["model"].update(init="magnitude"), "$.model"),
        (lambda t: t["profile"]["smoke"].update(sedes=[1]), "$.profile.smoke"),
    ],
)
def test_what_check_refuses_an_editor_underlines(change: Any, path: str, validator: Draft202012Validator) -> None:
    table = quickstart()
    change(table)
    assert {error.json_path for error in validator.iter_errors(table)} == {path}


def test_a_strangers_component_is_known_once_it_is_installed() -> None:
    entry = {"name": "imp", "units": "toy-units"}
    installed, with_toys = (Draft202012Validator(json_schema(c)) for c in (Catalogue.load(), toy_catalogue()))
    table = {**quickstart(), "entry": [entry]}
    assert not installed.is_valid(table)
    assert with_toys.is_valid(table)


@pytest.mark.parametrize("file", FILES, ids=lambda f: f.name)
def test_the_first_line_of_every_shipped_file_names_the_committed_schema(file: Path) -> None:
    named = file.read_text().splitlines()[0].removeprefix("#:schema ")
    assert (file.parent / named).resolve() == COMMITTED


def test_the_files_of_packages_name_a_schema_beside_them() -> None:
    # Only where the package is installed is its component known, so the schema is written there.
    root = Path(__file__).parents[2]
    found = [
        *(file for file in (root / "plugins" / "example").glob("*.toml") if file.name != "pyproject.toml"),
        root / "prunebench" / "commands" / "plugin_template" / "{{name}}.toml.jinja",
    ]
    assert len(found) > 2
    for file in found:
        first, second, *_ = file.read_text(encoding="utf-8").splitlines()
        assert first == "#:schema ./prunebench.schema.json", file
        assert "`prunebench schema > prunebench.schema.json`" in second, file


def test_the_committed_schema_is_that_of_what_prunebench_brings() -> None:

    committed = json.loads(COMMITTED.read_text(encoding="utf-8"))
    again = "run: prunebench schema --built-in > benchmarks/prunebench.schema.json"
    assert committed == json_schema(Catalogue.load().built_in()), again


def test_the_command_prints_it() -> None:
    printed = CliRunner().invoke(main, ["schema"])
    assert json.loads(printed.output) == json_schema(Catalogue.load())
