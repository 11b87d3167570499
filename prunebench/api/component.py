"""What a plugin offers under one name, and its configuration."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydantic import BaseModel, ConfigDict, GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from prunebench.api.errors import PlanError
from prunebench.api.positions import Clock


class EntryRef(str):
    """The name of another entry; a component's config field of this type makes an edge between entries."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


class ComponentConfig(BaseModel):
    """The base of every component's configuration: frozen, unknown keys forbidden, defaults part of the key."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=False)


@dataclass(frozen=True)
class Component:
    """What a plugin offers under one name.

    Args:
        name: how benchmark files call it.
        config: its configuration; resolved with all defaults it is part of every key it takes part in.
        build: called with the configuration; returns an object whose `@hookimpl` methods serve one run.
        version: raised whenever the numbers that it yields change.
        paper: where the idea comes from.
    """

    name: str
    config: type[ComponentConfig]
    build: Callable[[Any], object]
    version: int
    paper: str = ""


@dataclass(frozen=True)
class Provider:
    """A component together with where it comes from."""

    component: Component
    distribution: str
    module: str = ""

    def __str__(self) -> str:
        return f"{self.component.name} ({self.distribution})"


@dataclass(frozen=True)
class BoundComponent:
    """A component that a file names, with its configuration resolved."""

    provider: Provider
    config: ComponentConfig

    def __hash__(self) -> int:
        return hash(self.name)  # configurations may hold tables, which have no hash

    @property
    def component(self) -> Component:
        """The component's descriptor."""
        return self.provider.component

    @property
    def name(self) -> str:
        """The component's name."""
        return self.component.name

    def build(self) -> object:
        """A fresh object that serves one run."""
        return self.component.build(self.config)

    @cached_property
    def planner(self) -> object:
        """One object for the pure hooks of planning (`needs`, `count`, `schedule`), which keep no state."""
        return self.build()

    def to_json(self, clock: Clock | None = None) -> dict[str, Any]:
        """Name, version and full configuration, defaults included; positions in iterations where a clock is given."""
        cache: dict[Clock | None, dict[str, Any]] = self._json
        if clock not in cache:
            try:
                config = self.config.model_dump(mode="json", context={"clock": clock})
            except ValueError as error:
                why = str(error).rpartition("ValueError: ")[2]  # pydantic tells of its own serialiser first
                raise PlanError(f'component "{self.name}": {why}') from error
            cache[clock] = {"use": self.name, "version": self.component.version, "config": config}
        return cache[clock]

    @cached_property
    def _json(self) -> dict[Clock | None, dict[str, Any]]:
        return {}

    def __str__(self) -> str:
        return str(self.provider)
