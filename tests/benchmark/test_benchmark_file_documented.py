import json
import re
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from prunebench.api.recipe import Recipe
from prunebench.api.strict import table_keys
from prunebench.benchmark import load as config
from prunebench.benchmark.entries import Entry
from prunebench.benchmark.expectations import Expect
from prunebench.benchmark.tables import Execution, Measure, Report, TopTable
from prunebench.components.catalogue import Catalogue
from prunebench.plan.compile import make_plan
from prunebench.testing import ToyProbe

LAID_OVER = ("find", "evaluate", "data", "model", "task")
"""Keys of an entry that may state a part, and that are whole where it is resolved."""
PAGE = (Path(__file__).parents[2] / "docs" / "benchmark-file.md").read_text(encoding="utf-8")
PARTS = dict(re.findall(r"^## (.+)\n((?:(?!^## ).*\n)*)", PAGE, re.MULTILINE))
EXAMPLES = re.findall(r"^```toml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
TABLES: dict[str, type[BaseModel]] = {
    "The top of the file": TopTable,
    "Recipes": Recipe,
    "Entries": Entry,
    "`[measure]`": Measure,
    "`[report]`": Report,
    "`[[expect]]`": Expect,
    "`[execution]`": Execution,
}

each_table = pytest.mark.parametrize(("title", "model"), TABLES.items(), ids=TABLES)


def rows(title: str) -> dict[str, list[str]]:
    found = (line.strip("| ").split(" | ") for line in PARTS[title].splitlines() if line.startswith("| `"))
    return {key.strip("`"): rest for key, *rest in found}


def fields(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


@each_table
def test_every_key_of_a_table_is_described_and_no_other(title: str, model: type[BaseModel]) -> None:
    assert set(rows(title)) == set(table_keys(model))


@each_table
def test_required_keys_and_plain_defaults_are_told(title: str, model: type[BaseModel]) -> None:
    for name, field in fields(model).items():
        if model is Entry and name in LAID_OVER:
            continue
        told = rows(title)[name][1]
        assert (told == "required") == field.is_required()
        default = field.default
        if isinstance(default, str):
            assert told.strip("`") == f'"{default}"'
        elif isinstance(default, int | float):
            assert json.loads(told.strip("`").replace("_", "")) == default


def test_profiles_and_the_command_line_change_a_file_as_the_page_says(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(EXAMPLES[0])
    plain = config.load(file, Catalogue.load())
    smoke = config.load(file, Catalogue.load(), profile="smoke")
    settings = ["train.batch=128", "entry.imp.schedule.to=2ep"]
    changed = config.load(file, Catalogue.load(), seeds=[0, 1], only=["imp"], settings=settings)
    assert [len(e.densities or ()) for e in plain.entries] == [0, 2, 2]
    assert [(e.rounds, e.densities) for e in smoke.entries] == [(0, None), (3, None), (3, None)]
    assert (changed.seeds, [e.name for e in changed.entries], changed.entries[0].find.batch) == ((0, 1), ["imp"], 128)
    assert len(make_plan(smoke, ToyProbe()).trials) == 3


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_are_files_that_load(number: int, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(EXAMPLES[number])
    assert config.load(file, Catalogue.load()).entries


def test_a_grid_makes_the_entries_that_the_page_says(tmp_path: Path) -> None:
    (text,) = (example for example in EXAMPLES if "entry.grid" in example)
    file = tmp_path / "mine.toml"
    file.write_text(text)
    names = [entry.name for entry in config.load(file, Catalogue.load()).entries]
    assert names == ["lr-6e-4-6e-4", "lr-6e-4-1.2e-3", "lr-1.2e-3-6e-4", "lr-1.2e-3-1.2e-3"]
