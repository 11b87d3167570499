import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from prunebench.api.recipe import Recipe
from prunebench.api.strict import table_keys
from prunebench.benchmark import load as config
from prunebench.benchmark.entries import Entry
from prunebench.benchmark.expectations import Expect
from prunebench.benchmark.reference import Reference
from prunebench.benchmark.tables import Execution, Measure, Report, TopTable
from prunebench.commands.file_reference import with_tables
from prunebench.components.catalogue import Catalogue
from prunebench.plan.compile import make_plan
from prunebench.testing import ToyProbe

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


@each_table
def test_every_key_of_a_table_is_described_and_no_other(title: str, model: type[BaseModel]) -> None:
    assert set(rows(title)) == set(table_keys(model))


def test_the_tables_of_keys_are_those_of_the_types_that_check_a_file() -> None:
    again = with_tables(PAGE, Reference(Catalogue.load()))
    assert again == PAGE, "run: python -m prunebench.commands.file_reference docs/benchmark-file.md"


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
