"""Components reach worker processes by import, installed or not; what cannot is refused by name before work begins."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from engine import parts
from engine.toy_runs import TESTS, catalogue, prepared, rows, run, text
from prunebench import Component, ComponentConfig, hookimpl, runner
from prunebench.api.errors import WorkerError
from prunebench.api.masks import Scores, Units
from prunebench.components.catalogue import Catalogue
from prunebench.engine.executors.origins import Origin, origins_of, rebuilt
from prunebench.runner.workers import components_of
from prunebench.testing import toy, toy_catalogue

TWO_WORKERS = {"execution": {"workers": 2}}
ENTRY = {"name": "mine", "schedule": "rewind", "select": "global", "units": "toy-units"}


class Mine:
    """A score of this module, which offers it by a variable and not by a hook."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_score(self, units: Units) -> Scores:
        return units.reduce(lambda name, weight: -weight.abs())


MINE = Component("mine", ComponentConfig, Mine, version=3)


def test_a_component_is_found_by_the_module_that_offers_it() -> None:
    origins = {origin.name: origin for origin in origins_of(catalogue(), ["toy-net", "odd-score", "magnitude"])}
    assert origins["magnitude"].module == "prunebench_plugins.scores.magnitude"
    assert origins["toy-net"] == Origin("toy-net", "prunebench.testing.toy", "prunebench.testing", 1)
    assert origins["odd-score"].module == "engine.parts"
    again = rebuilt(origins.values(), {"toy-net": 1, "odd-score": 1, "magnitude": 1})
    assert list(again.providers) == list(catalogue().providers)
    assert again.find("odd-score").component.config is parts.ScoreConfig
    assert str(again.find("toy-net")) == "toy-net (prunebench.testing)"


def test_only_what_is_looked_at_is_imported() -> None:
    origins = [asdict(origin) for origin in origins_of(Catalogue.load(), ["magnitude"])]
    script = (
        "import json, sys\n"
        "from prunebench.engine.executors.origins import Origin, rebuilt\n"
        "catalogue = rebuilt([Origin(**o) for o in json.loads(sys.stdin.read())], {'magnitude': 1})\n"
        "found = [name for name in sys.modules if name.startswith('prunebench_plugins.')]\n"
        "catalogue.find('random')\n"
        "print(json.dumps([found, 'prunebench_plugins.scores.random' in sys.modules, len(catalogue.providers)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], input=json.dumps(origins), capture_output=True, text=True, check=True
    )
    found, later, count = json.loads(done.stdout)
    assert "prunebench_plugins.scores.magnitude" in found
    assert not any(name.startswith(("prunebench_plugins.models", "prunebench_plugins.data")) for name in found)
    assert later
    assert count == len(origins)


@pytest.mark.usefixtures("quick_workers")
def test_a_catalogue_of_modules_and_of_single_components_reaches_workers(store_path: Path, tmp_path: Path) -> None:
    modules = [("toys 1.0", "prunebench.testing.toy", toy), ("parts 1.0", "engine.parts", parts)]
    others = Catalogue.load()
    made = Catalogue({**others.providers, **Catalogue.of(modules).providers}).with_components([MINE], "mine 1.0")
    changes = {"entry": [{**ENTRY, "score": "mine", "analyse": ["norms"]}]}
    outcome = runner.run(prepared(store_path, changes, TWO_WORKERS, parts=made), catalogue=made)
    assert outcome.failed == {}
    assert {row["outcome"] for row in rows(outcome)} == {"ok"}
    assert outcome.provenance.components["mine"].version == 3
    alone = prepared(tmp_path / "alone", changes, parts=made)
    assert text(outcome) == text(runner.run(alone, catalogue=made))


def local(name: str) -> Component:
    """A component that no module offers."""

    class Local(Mine):
        pass

    return Component(name, ComponentConfig, Local, version=1)


@pytest.mark.usefixtures("quick_workers")
def test_a_component_that_no_worker_could_import_is_refused_by_name_before_anything_trains(store_path: Path) -> None:
    made = catalogue().with_components([local("here-only"), local("not-used")], "sketch 0.1")
    ready = prepared(store_path, TWO_WORKERS, entry=[{**ENTRY, "score": "here-only"}], parts=made)
    with pytest.raises(WorkerError) as refused:
        runner.run(ready, catalogue=made)
    message = str(refused.value)
    assert f'component "here-only" (sketch 0.1): {__name__} does not offer it to whoever imports it' in message
    assert "execution.workers = 0" in message
    assert "not-used" not in message
    assert not (store_path / "objects").exists()
    inline = prepared(store_path, entry=[{**ENTRY, "score": "here-only"}], parts=made)
    assert runner.run(inline, catalogue=made).failed == {}


def test_a_component_of_an_entry_that_another_refers_to_is_needed_too(store_path: Path) -> None:
    made = catalogue().with_components([local("here-only")], "sketch 0.1")
    entries = [{**ENTRY, "score": "here-only"}, {"name": "shuffled", "tickets": "mine", "ticket": ["reinit"]}]
    ready = prepared(store_path, TWO_WORKERS, entry=entries, entries=["shuffled"], parts=made)
    with pytest.raises(WorkerError, match='component "here-only"'):
        runner.run(ready, catalogue=made)


def test_components_of_reports_are_not_needed_by_workers(store_path: Path) -> None:
    made = catalogue().with_components([local("here-only")], "sketch 0.1")
    changes = {"execution": {"track": [{"use": "watch"}]}, "report": {"also": [{"use": "early-stopping"}]}}
    needed = components_of(prepared(store_path, changes, parts=made).benchmark)
    assert {"magnitude", "global", "toy-net", "toy-data", "toy-units", "sgd"} <= needed.keys()
    assert not {"watch", "early-stopping", "here-only"} & needed.keys()


@pytest.mark.parametrize(
    ("origin", "why"),
    [
        (Origin("a", "", "d", 1), "it does not say which module it comes from"),
        (Origin("a", "no_such_module", "d", 1), r"no_such_module cannot be imported \(ModuleNotFoundError"),
        (Origin("a", "engine.parts", "d", 1), "engine.parts does not offer it"),
        (Origin("net", "engine.parts", "d", 2), "engine.parts offers version 1, not 2"),
        (Origin("a", "engine.parts:nothing", "d", 1), "engine.parts:nothing cannot be imported"),
    ],
)
def test_why_a_component_is_not_found_is_said(origin: Origin, why: str) -> None:
    with pytest.raises(WorkerError, match=f'component "{origin.name}" \\(d\\): {why}'):
        rebuilt([origin], {origin.name: origin.version})
    assert rebuilt([origin], {}).providers.keys() == {origin.name}


def test_a_needed_component_without_an_origin_is_named() -> None:
    with pytest.raises(WorkerError, match='component "toy-net" is not here'):
        rebuilt([], {"toy-net": 1})


SCRIPT = """
from pathlib import Path
import sys
from prunebench import Component, ComponentConfig, hookimpl, runner
from prunebench.testing import toy_benchmark, toy_catalogue
from engine.toy_runs import prepared

class Mine:
    def __init__(self, config):
        pass

    @hookimpl
    def prunebench_score(self, units):
        return units.reduce(lambda name, weight: -weight.abs())

MINE = Component("mine", ComponentConfig, Mine, version=1)

def main():
    made = toy_catalogue().with_components([MINE], "script")
    entry = {"name": "mine", "schedule": "rewind", "score": "mine", "select": "global", "units": "toy-units"}
    ready = prepared(Path(sys.argv[1]), {"execution": {"workers": 1}}, entry=[entry], rounds=1, parts=made)
    print(len(runner.run(ready).rows))

if __name__ == "__main__":
    main()
"""


def test_a_script_may_run_its_own_components_in_workers(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    done = subprocess.run(
        [sys.executable, str(script), str(tmp_path / "store")],
        env={"PYTHONPATH": str(TESTS), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 0


def test_what_was_made_in_an_interactive_session_is_refused(tmp_path: Path) -> None:
    code = SCRIPT.replace('if __name__ == "__main__":\n    main()', "main()")
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "store")],
        env={"PYTHONPATH": str(TESTS), "PATH": ""},
        capture_output=True,
        text=True,
        check=False,
    )
    assert 'component "mine" (script): it was made in an interactive session' in done.stderr


def test_the_installed_catalogue_needs_no_help(store_path: Path, undisturbed: bytes) -> None:
    assert len(origins_of(Catalogue.load(), Catalogue.load().providers)) == len(Catalogue.load().providers)
    assert text(run(store_path)) == undisturbed
    assert toy_catalogue().find("toy-net").module == ""
