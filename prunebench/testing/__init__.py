"""Contracts that a plugin author subclasses, and toys small enough to reason about.

A test of a component is a subclass with one line, and runs the laws of its hook:

    from prunebench.testing import ScoreContract

    class TestMine(ScoreContract):
        component = {"use": "my-score"}

The methods in lower case without "test" give the toys that a law is tried on; override them where a component needs
another network or other inputs. List "prunebench.testing" in `pytest_plugins` for the fixtures `toy_data` and
`two_layer_net`.
"""

from __future__ import annotations

import pytest
from torch import nn

from prunebench.api.data import Data
from prunebench.testing.contract import Contract, task_of
from prunebench.testing.data import ToyData, some_mask, two_layer_net, weight_units
from prunebench.testing.distribution import contracts_of
from prunebench.testing.executor import ExecutorContract
from prunebench.testing.imports import foreign_imports
from prunebench.testing.inputs import DataContract, InitialiseContract, ModelContract, UnitsContract
from prunebench.testing.pruning import (
    AnalyseContract,
    PruneContract,
    ScheduleContract,
    ScoreContract,
    SelectContract,
    TicketContract,
)
from prunebench.testing.results import toy_board, toy_results
from prunebench.testing.states import no_global_randomness, same, state
from prunebench.testing.store_backend import StoreBackendContract
from prunebench.testing.task import TaskContract
from prunebench.testing.toy import ToyProbe, toy_benchmark, toy_catalogue, toy_chain, toy_plan, toy_request
from prunebench.testing.training import (
    LossContract,
    LrContract,
    MaskUpdateContract,
    OptimizerContract,
    TransformContract,
)

__all__ = [
    "AnalyseContract",
    "Contract",
    "DataContract",
    "ExecutorContract",
    "InitialiseContract",
    "LossContract",
    "LrContract",
    "MaskUpdateContract",
    "ModelContract",
    "OptimizerContract",
    "PruneContract",
    "ScheduleContract",
    "ScoreContract",
    "SelectContract",
    "StoreBackendContract",
    "TaskContract",
    "TicketContract",
    "ToyData",
    "ToyProbe",
    "TransformContract",
    "UnitsContract",
    "contracts_of",
    "foreign_imports",
    "no_global_randomness",
    "same",
    "some_mask",
    "state",
    "task_of",
    "toy_benchmark",
    "toy_board",
    "toy_catalogue",
    "toy_chain",
    "toy_plan",
    "toy_request",
    "toy_results",
    "two_layer_net",
    "weight_units",
]


@pytest.fixture(name="toy_data")
def _toy_data() -> Data:
    return ToyData().prunebench_data()


@pytest.fixture(name="two_layer_net")
def _two_layer_net() -> nn.Sequential:
    return two_layer_net()
