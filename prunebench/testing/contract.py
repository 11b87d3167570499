# ruff: noqa: D102 (the name of a law is the sentence that says it)
"""What every contract has in common."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

from torch import nn

from prunebench.api.component import BoundComponent
from prunebench.api.data import Data
from prunebench.api.hookspecs import SLOTS
from prunebench.api.masks import Units
from prunebench.api.random import Rng, Streams
from prunebench.api.task import Task
from prunebench.api.tickets import Inputs
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import implements, run_manager
from prunebench.testing.data import ToyData, two_layer_net, weight_units


@cache
def installed() -> Catalogue:
    """What is installed, looked up once."""
    return Catalogue.load()


def task_of(component: Mapping[str, Any], label_smoothing: float = 0.0) -> Task:
    """The task of an installed component."""
    manager = run_manager([installed().use(component, slot="task")])
    task: Task = manager.hook.prunebench_task(label_smoothing=label_smoothing)
    return task


class Contract:
    """What holds for every component. Subclasses name theirs as a benchmark file would: {"use": NAME, ...}.

    `of_task` is the task of the data, the networks and the components that laws are tried with.
    """

    component: ClassVar[Mapping[str, Any]]
    slot: ClassVar[str]
    of_task: ClassVar[Mapping[str, Any]] = {"use": "classification"}

    def use(self) -> BoundComponent:
        """The component, found among what is installed."""
        return installed().use(self.component, slot=self.slot)

    def hooks(self) -> Any:
        """The hooks of a fresh run with this component alone."""
        return run_manager([self.use()]).hook

    def rng(self, seed: int = 0) -> Rng:
        """A stream; the same for equal seeds."""
        return Streams(seed, round=1).rng("score")

    def model(self) -> nn.Module:
        """The network that laws are tried on, the same each time."""
        return two_layer_net()

    def data(self) -> Data:
        """Data that the network takes."""
        return ToyData().prunebench_data()

    def units(self, model: nn.Module) -> Units:
        """Its units."""
        return weight_units(model)

    def task(self) -> Task:
        """What the networks are for, without label smoothing."""
        return task_of(self.of_task)

    def inputs(self) -> Inputs:
        """What `prunebench_needs` would have brought."""
        return {}

    def test_the_component_fits_its_slot(self) -> None:
        assert implements(self.use().build(), SLOTS[self.slot])

    def test_a_built_component_serves_one_run_and_is_built_afresh_for_the_next(self) -> None:
        use = self.use()
        assert use.build() is not use.build()

    def test_the_configuration_survives_json(self) -> None:
        config = self.use().config
        assert type(config).model_validate(config.model_dump(mode="json")) == config

    def test_the_configuration_is_frozen_and_forbids_unknown_keys(self) -> None:
        settings = type(self.use().config).model_config
        assert settings.get("frozen") is True
        assert settings.get("extra") == "forbid"

    def test_the_version_is_positive(self) -> None:
        assert self.use().component.version >= 1
