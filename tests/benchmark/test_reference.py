import re
import tomllib
from typing import Any

import pytest

from prunebench.benchmark.reference import Meaning, Reference
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import slots_of
from prunebench.components.option_meanings import option_meanings

REFERENCE = Reference(Catalogue.load())
OF_COMPONENTS = [
    (name, one)
    for name, provider in REFERENCE.catalogue.providers.items()
    for one in (REFERENCE.component(provider), *REFERENCE.options(provider))
    if provider.distribution.startswith("prunebench ") and name != "python"  # which runs code that is not here
]


@pytest.mark.parametrize("one", REFERENCE.keys.values(), ids=REFERENCE.keys)
def test_every_key_has_a_meaning_a_type_a_default_and_an_example_that_states_it(one: Meaning) -> None:
    assert one.meaning
    assert one.type
    assert one.default
    assert one.name.rpartition(".")[2] in str(tomllib.loads(one.example))


def test_the_example_of_every_component_and_of_each_of_its_keys_is_accepted() -> None:
    for name, one in OF_COMPONENTS:
        slot = slots_of(REFERENCE.catalogue.providers[name].component)[0]
        table: Any = tomllib.loads(one.example)
        while not (isinstance(table, str) or "use" in table):
            (table,) = table.values() if isinstance(table, dict) else table
        assert REFERENCE.catalogue.use(table, slot=slot).name == name


@pytest.mark.parametrize(("name", "provider"), REFERENCE.catalogue.providers.items())
def test_the_author_of_a_component_names_each_of_its_keys(name: str, provider: Any) -> None:
    config = provider.component.config
    unnamed = [key for key in option_meanings(config) if not config.model_fields[key].description]
    assert [key for key in unnamed if not re.search(rf"\b{key}\b", config.__doc__ or "")] == []


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("train.numerics", ["train.numerics"]),
        ("[[entry]].select", ["entry.select"]),
        ("entry.imp.schedule.rewind.to", ["rewind.to"]),
        ("entry.imp.find.optimizer.momentum", ["sgd.momentum"]),
        ("profile.smoke.train.batch", ["train.batch"]),
        ("evaluate.numerics", ["train.numerics"]),
        ("numerics", ["train.numerics"]),
        ("report.at", ["report.at"]),
        ("train.horizon.at_most", ["train.horizon.at_most"]),
        ("expect.than.value", ["expect.than.value"]),
        ("weights", ["model.weights", "weights"]),
        ("model.args", ["python.args", "timm.args"]),
        ("magnitude.normalise", ["magnitude.normalise"]),
        ("numericss", []),
        ("", []),
        ("train.numerics.more", []),
    ],
)
def test_a_name_is_found_however_it_is_written(asked: str, names: list[str]) -> None:
    assert [one.name for one in REFERENCE.find(asked)] == names


def test_a_place_for_components_lists_those_that_fit_and_a_table_its_keys() -> None:
    (select,), (expect, *_) = REFERENCE.find("entry.select"), REFERENCE.find("expect")
    assert {"global", "layerwise"} <= set(select.fits)
    assert "magnitude" not in select.fits
    assert {"expect.source", "expect.than"} <= set(expect.keys)
