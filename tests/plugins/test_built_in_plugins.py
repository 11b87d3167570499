import json
import subprocess
import sys
from importlib.metadata import EntryPoint, entry_points

import pytest

HEAVY = ("torch", "timm", "torchvision", "matplotlib", "mlxtend", "scipy", "sklearn", "pandas")


def test_loading_the_catalogue_and_building_configurations_imports_nothing_heavy() -> None:
    code = (
        "import sys, json\n"
        "from prunebench.components.catalogue import Catalogue\n"
        "catalogue = Catalogue.load()\n"
        "assert not catalogue.broken, catalogue.broken\n"
        "catalogue.use({'use': 'sgd', 'lr': 0.1}, slot='optimizer')\n"
        f"print(json.dumps([name for name in {HEAVY!r} if name in sys.modules]))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []


BUILT_IN = [point for point in entry_points(group="prunebench") if point.value.startswith("prunebench_plugins.")]


@pytest.mark.parametrize("point", BUILT_IN, ids=lambda point: str(point.name))
def test_every_built_in_module_offers_documented_components(point: EntryPoint) -> None:
    module = point.load()
    components = list(module.prunebench_components())
    assert components
    assert module.__doc__
    for component in components:
        assert component.version >= 1
        assert component.build.__doc__
