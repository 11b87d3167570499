"""The contracts of all components of a distribution, found by its entry points."""

from __future__ import annotations

import re
from collections.abc import Mapping

from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import slots_of
from prunebench.testing.contract import Contract
from prunebench.testing.inputs import DataContract, InitialiseContract, ModelContract, UnitsContract
from prunebench.testing.pruning import (
    AnalyseContract,
    PruneContract,
    ScheduleContract,
    ScoreContract,
    SelectContract,
    TicketContract,
)
from prunebench.testing.task import TaskContract
from prunebench.testing.training import (
    LossContract,
    LrContract,
    MaskUpdateContract,
    OptimizerContract,
    TransformContract,
)

CONTRACTS: Mapping[str, type[Contract]] = {
    contract.slot: contract
    for contract in (
        AnalyseContract,
        DataContract,
        InitialiseContract,
        LossContract,
        LrContract,
        MaskUpdateContract,
        ModelContract,
        OptimizerContract,
        PruneContract,
        ScheduleContract,
        ScoreContract,
        SelectContract,
        TaskContract,
        TicketContract,
        TransformContract,
        UnitsContract,
    )
}
"""The contract of each place of a benchmark file that has one."""


def contracts_of(
    distribution: str,
    configurations: Mapping[str, Mapping[str, object]] | None = None,
    catalogue: Catalogue | None = None,
) -> dict[str, type[Contract]]:
    """A test class for each component of a distribution and each place that it fits, by the class's name.

    In a test module: `globals().update(contracts_of("my-package"))`. A component that is added is tested from then on.

    Args:
        distribution: its name, as in pyproject.toml.
        configurations: the keys of components that need some, by name.
    Raises:
        LookupError: no component of that distribution is installed, or a configuration is of none.
    """
    known = Catalogue.load() if catalogue is None else catalogue
    own = {
        name: provider
        for name, provider in known.providers.items()
        if _normal(provider.distribution.split()[0]) == _normal(distribution)
    }
    if not own:
        raise LookupError(f"no component of {distribution} is installed; does its pyproject.toml have entry points?")
    stated = dict(configurations or {})
    foreign = sorted(stated.keys() - own.keys())
    if foreign:
        raise LookupError(f"{distribution} has no component {', '.join(foreign)}")
    found: dict[str, type[Contract]] = {}
    for name, provider in own.items():
        for slot in slots_of(provider.component):
            if slot in CONTRACTS:
                title = "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", f"{name} {slot}"))
                component = {"use": name, **stated.get(name, {})}
                found[f"Test{title}"] = type(f"Test{title}", (CONTRACTS[slot],), {"component": component})
    return found


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
