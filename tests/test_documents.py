"""Code in the documents is right: Python runs, TOML is accepted, commands exist with these options."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from functools import cache
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest

from prunebench.benchmark.json_schema import json_schema
from prunebench.commands.boards_table import with_table
from prunebench.commands.main import main
from prunebench.components.catalogue import Catalogue

ROOT = Path(__file__).parents[1]
ELSEWHERE = {"benchmark-file.md", "components.md", "hooks.md", "export.md", "results.md", "timm-networks.md"}
"""Pages with tests of their own."""
PAGES = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *(p for p in sorted((ROOT / "docs").rglob("*.md")) if "decisions" not in p.parts and p.name not in ELSEWHERE),
]


def blocks(page: Path, language: str) -> list[str]:
    found = re.findall(rf"^( *)```{language}\n(.*?)^ *```", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [re.sub(rf"^{indent}", "", text, flags=re.MULTILINE) for indent, text in found]


def of(language: str) -> Any:
    cases = [
        pytest.param(text, id=f"{page.relative_to(ROOT)}-{number}")
        for page in PAGES
        for number, text in enumerate(blocks(page, language), 1)
    ]
    assert cases
    return pytest.mark.parametrize("text", cases)


@of("python")
def test_python_runs(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.setenv("PRUNEBENCH_STORE", str(tmp_path))
    # Later blocks of a page go on from what earlier ones have made.
    page = next(page for page in PAGES if text in blocks(page, "python"))
    before = blocks(page, "python")
    names: dict[str, Any] = {"__name__": "a_document"}
    for block in before[: before.index(text) + 1]:
        exec(compile(block, str(page), "exec"), names)


def test_contracts_are_collected_as_the_page_says() -> None:
    (text,) = blocks(ROOT / "docs" / "how-to" / "ci.md", "py")
    names: dict[str, Any] = {}
    exec(text.replace("my-package", "prunebench"), names)
    assert any(name.startswith("Test") for name in names)


def test_each_block_is_of_a_language_that_is_tried() -> None:
    """Blocks of `py` need something that is made first: those of how-to/tickets.md are in tests/runner/test_zoo.py."""
    for page in PAGES:
        languages = set(re.findall(r"^ *```([\w-]+)$", page.read_text(encoding="utf-8"), re.MULTILINE))
        assert languages <= {"python", "toml", "sh", "yaml", "ini", "py"}, page
        assert "py" not in languages or page.name in ("tickets.md", "ci.md"), page


@cache
def schema() -> Any:
    return json_schema(Catalogue.load())


@of("toml")
def test_toml_is_what_a_benchmark_file_may_say(text: str) -> None:
    table = tomllib.loads(text)
    # A fragment is laid over a whole file; a component of the reader's own is not installed here.
    text_of_own = text.replace('"my-score"', '"magnitude"')
    table = {"schema": 1, "extends": "whole.toml", **tomllib.loads(text_of_own)}
    jsonschema.validate(table, schema())


@of("sh")
def test_commands_exist_with_these_options(text: str) -> None:
    found = re.findall(r"(?:^|&& |run --from \. )(prunebench .*?)(?= && | &$|$)", text, re.MULTILINE)
    for line in found:
        accepted(shlex.split(line, comments=True)[1:])


def accepted(arguments: list[str]) -> None:
    command: click.Command = main
    context: click.Context | None = None
    while isinstance(command, click.Group):
        with command.make_context("prunebench", list(arguments), parent=context) as context:
            name, found, arguments = command.resolve_command(context, [*context._protected_args, *context.args])
        assert found is not None, name
        command = found
    # Options with effects of their own (such as the trust in a module) are only parsed.
    for parameter in command.params:
        parameter.callback = None
    command.make_context("prunebench", arguments, parent=context)


@pytest.mark.parametrize("file", sorted((ROOT / "docs" / "notebooks").glob("*.ipynb")), ids=lambda file: file.stem)
def test_a_notebook_is_committed_without_outputs(file: Path) -> None:
    # What it shows is made when the site is built, which executes it.
    cells = [cell for cell in json.loads(file.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"]
    assert [cell["outputs"] for cell in cells] == [[]] * len(cells)


def test_every_page_is_in_the_table_of_contents() -> None:
    listed = set(re.findall(r"^([\w/-]+)$", (ROOT / "docs" / "index.md").read_text(), re.MULTILINE))
    files = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.ipynb")]
    pages = {path.relative_to(ROOT / "docs").with_suffix("").as_posix() for path in files}
    assert {page for page in pages if not page.startswith("decisions/")} - {"index"} <= listed | {"decisions/index"}


def test_the_readme_has_the_committed_leaderboards_as_their_data_says() -> None:
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    again = "run: python -m prunebench.commands.boards_table leaderboards README.md"
    assert with_table(page, ROOT / "leaderboards") == page, again
