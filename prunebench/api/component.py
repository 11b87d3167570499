"""What a plugin offers under one name, and its configuration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar, Protocol

from pydantic import (
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    SerializationInfo,
    ValidationError,
    ValidationInfo,
)
from pydantic_core import CoreSchema, core_schema

from prunebench.api.errors import PlanError
from prunebench.api.positions import Clock
from prunebench.api.problems import problems, refusal
from prunebench.api.strict import StrictTable


class EntryRef(str):
    """The name of another entry; a component's config field of this type makes an edge between entries."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(cls, core_schema.str_schema())


class ComponentConfig(StrictTable):
    """The base of every component's configuration: frozen, unknown keys forbidden, defaults part of the key.

    What a key means stands in `Field(description=...)` or in the docstring: below "Args:", or as "`key`: meaning".
    """

    model_config = ConfigDict(use_attribute_docstrings=False)  # reading a hundred sources would slow every start

    measured: ClassVar[frozenset[str]] = frozenset()
    """Of a task: fields that change what is measured and nothing that is trained; in the keys of curves alone."""
    later: ClassVar[frozenset[str]] = frozenset()
    """Fields that came after the component was first used: absent from keys while they have their defaults, so that
    what was computed before stands."""


@dataclass(frozen=True)
class Component:
    """What a plugin offers under one name.

    Args:
        name: how benchmark files call it.
        config: its configuration; resolved with all defaults it is part of every key it takes part in.
        build: called with the configuration; returns an object whose `@hookimpl` methods serve one run.
        version: raised whenever the numbers that it yields change.
        paper: where the idea comes from.
        alone: whether its analyses measure time, so that nothing else of the run may work beside them. In no key.
    """

    name: str
    config: type[ComponentConfig]
    build: Callable[[Any], object]
    version: int
    paper: str = ""
    alone: bool = False


@dataclass(frozen=True)
class Provider:
    """A component together with where it comes from."""

    component: Component
    distribution: str
    module: str = ""

    def __str__(self) -> str:
        return f"{self.component.name} ({self.distribution})"

    @property
    def built_in(self) -> bool:
        """Whether prunebench's own distribution brings it."""
        return self.distribution.startswith("prunebench ")

    @property
    def foreign(self) -> bool:
        """Whether it runs code that is not the suite's own: another distribution's, or, as `python` does, a file's."""
        return not self.built_in or self.component.name == "python"


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
                why = str(error).rpartition("ValueError: ")[2]  # pydantic names its own serialiser first
                raise PlanError(f'component "{self.name}": {why}') from error
            fields = type(self.config).model_fields
            for name in self.config.later:
                if getattr(self.config, name) == fields[name].get_default(call_default_factory=True):
                    del config[name]
            cache[clock] = {"use": self.name, "version": self.component.version, "config": config}
        return cache[clock]

    def written(self) -> dict[str, Any]:
        """As a file would write it, defaults included."""
        return {"use": self.name, **self.config.model_dump(mode="json")}

    def trained_json(self) -> dict[str, Any]:
        """The same without what only changes what is measured: a task in the key of a run."""
        whole = self.to_json()
        kept = {name: value for name, value in whole["config"].items() if name not in self.config.measured}
        return {**whole, "config": kept}

    @cached_property
    def _json(self) -> dict[Clock | None, dict[str, Any]]:
        return {}

    def __str__(self) -> str:
        return str(self.provider)


class Binder(Protocol):
    """What a file's tables are validated with, as pydantic's context: it knows the components that are installed."""

    def bind(self, value: object, slot: str) -> BoundComponent:
        """The component that a table or a name stands for, in one place of the file.

        Raises:
            ValidationError: with every problem of the table.
        """
        ...

    def check_rate(self, optimizer: BoundComponent, pieces: Sequence[BoundComponent]) -> None:
        """Raises ValueError unless the pieces of a learning rate give one together."""
        ...


@dataclass(frozen=True)
class Slot:
    """Marks the field of a table for the component of one place of the file, or for a list of them.

    `optimizer: Annotated[BoundComponent, Slot("optimizer")]` takes a name, a table with `use`, or a component; the
    first two need a Binder as the validation's context. Where a list is expected, one may stand alone.
    """

    name: str
    many: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.with_info_plain_validator_function(
            self._several if self.many else self._one,
            serialization=core_schema.plain_serializer_function_ser_schema(
                self._written, info_arg=True, when_used="json"
            ),
        )

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"slot": self.name, "many": self.many}

    def _one(self, value: Any, info: ValidationInfo) -> BoundComponent:
        if isinstance(value, BoundComponent):
            return value
        binder: Binder | None = info.context
        if binder is None:
            raise TypeError("a table that names components is validated with a Binder as its context")
        return binder.bind(value, self.name)

    def _several(self, value: Any, info: ValidationInfo) -> tuple[BoundComponent, ...]:
        items = value if isinstance(value, list | tuple) else [value]
        bound, wrong = [], []
        for index, item in enumerate(items):
            try:
                bound.append(self._one(item, info))
            except ValidationError as error:
                wrong += [one.below(*([index] if len(items) > 1 else [])) for one in problems(error)]
        if wrong:
            raise refusal(wrong)
        return tuple(bound)

    @staticmethod
    def _written(value: Any, info: SerializationInfo) -> Any:
        return [use.written() for use in value] if isinstance(value, tuple) else value and value.written()
