"""Contracts found by entry points."""

from __future__ import annotations

import pytest

from prunebench.components.catalogue import Catalogue
from prunebench.testing import ScoreContract, SelectContract, contracts_of
from prunebench.testing.distribution import CONTRACTS


def test_every_component_of_a_distribution_gets_the_contract_of_its_place() -> None:
    found = contracts_of("prunebench", {"image-folder": {"path": "images"}})
    assert issubclass(found["TestMagnitudeScore"], ScoreContract)
    assert issubclass(found["TestGlobalSelect"], SelectContract)
    assert found["TestMagnitudeScore"].component == {"use": "magnitude"}
    assert found["TestImageFolderData"].component == {"use": "image-folder", "path": "images"}
    catalogue = Catalogue.load()
    named = {str(contract.component["use"]) for contract in found.values()}
    own = {name for name, provider in catalogue.providers.items() if provider.distribution.startswith("prunebench ")}
    assert named <= own
    assert len(named) > len(own) / 2


def test_each_contract_stands_for_one_place() -> None:
    assert {slot: contract.slot for slot, contract in CONTRACTS.items()} == {slot: slot for slot in CONTRACTS}


def test_what_is_not_installed_is_an_error_and_not_an_empty_module() -> None:
    with pytest.raises(LookupError, match="no component of nobody is installed"):
        contracts_of("nobody")
    with pytest.raises(LookupError, match="has no component nothing"):
        contracts_of("prunebench", {"nothing": {}})


def test_names_are_compared_as_installers_do() -> None:
    assert contracts_of("PruneBench").keys() == contracts_of("prunebench").keys()
