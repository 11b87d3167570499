"""`prunebench plugins new` writes a package; that it installs and passes its tests is what `tox -e plugin` shows."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from prunebench.commands.main import main
from prunebench.testing import foreign_imports

KINDS = ("score", "schedule", "analysis", "data", "task")


def new(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["plugins", "new", *map(str, arguments)])


@pytest.mark.parametrize("kind", KINDS)
def test_a_package_has_code_test_benchmark_and_entry_point(kind: str, tmp_path: Path) -> None:
    done = new("my-part", "--kind", kind, "--to", tmp_path / "package")
    assert done.exit_code == 0, done.output
    files = {
        path.relative_to(tmp_path / "package").as_posix()
        for path in (tmp_path / "package").rglob("*")
        if path.is_file()
    }
    assert files == {
        ".github/workflows/test.yml",
        ".gitignore",
        "README.md",
        "my-part.toml",
        "prunebench_my_part/__init__.py",
        "prunebench_my_part/my_part.py",
        "prunebench_my_part/py.typed",
        "pyproject.toml",
        "tests/test_my_part.py",
    }
    project = tomllib.loads((tmp_path / "package" / "pyproject.toml").read_text())
    assert project["project"]["entry-points"]["prunebench"] == {"my-part": "prunebench_my_part.my_part"}
    module = tmp_path / "package" / "prunebench_my_part" / "my_part.py"
    ast.parse(module.read_text())
    assert not [line for line in module.read_text().splitlines() if "{" + "{" in line or len(line) > 120]
    assert tomllib.loads((tmp_path / "package" / "my-part.toml").read_text())["profile"]["smoke"]
    assert not foreign_imports(tmp_path / "package" / "prunebench_my_part")


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "file").touch()
    done = new("my-part", "--to", tmp_path / "mine")
    assert done.exit_code == 2
    assert "there is something of that name" in done.output


@pytest.mark.parametrize("name", ["My", "a_b", "a--b", "-a", "a b", "../a", "{" + "{ name }" + "}"])
def test_a_name_that_no_package_could_have_is_refused(name: str, tmp_path: Path) -> None:
    done = new("--to", tmp_path / "out", "--", name)
    assert done.exit_code == 2
    assert "small letters, digits and single hyphens" in done.output
    assert not (tmp_path / "out").exists()
