"""What every key of a benchmark file means: read from the tables that check it and from installed components."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from prunebench.api.component import Provider, Slot
from prunebench.api.recipe import Recipe, Stretch
from prunebench.api.strict import InWords, StrictTable
from prunebench.benchmark.choices import DataChoice, ModelChoice
from prunebench.benchmark.densities import CHAIN_KEYS
from prunebench.benchmark.entries import Entry
from prunebench.benchmark.expectations import Expect, Than
from prunebench.benchmark.merging import CHOICES
from prunebench.benchmark.tables import Execution, Measure, Report, TopTable
from prunebench.benchmark.type_words import choices, in_words
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import slots_of
from prunebench.components.option_meanings import option_meanings

TABLES: Mapping[str, type[StrictTable]] = {
    "": TopTable,
    "data": DataChoice,
    "model": ModelChoice,
    "train": Recipe,
    "train.horizon": Stretch,
    "measure": Measure,
    "report": Report,
    "entry": Entry,
    "expect": Expect,
    "expect.than": Than,
    "execution": Execution,
}
"""The tables of a file by where they stand; that of the file itself is ""."""

SAME_AS = {"find": "train", "evaluate": "train"}
"""Keys whose table is another's, wherever they stand."""

SEVERAL = ("entry", "expect")
"""Tables that are written in double brackets."""


@dataclass(frozen=True)
class Meaning:
    """What stands behind a name that somebody asks for.

    Args:
        name: where it stands: "train.numerics", "magnitude.normalise", "entry".
        kind: "key", "component", or what else a reference explains.
        type, default: in words; a default of "required" must be stated, and "" is none.
        choices: the values that are allowed, where they can be listed.
        fits: the components that may stand there.
        keys: the keys below it, where it is a table.
        example: as a file would write it.
    """

    name: str
    kind: str
    meaning: str
    type: str = ""
    default: str = ""
    choices: Sequence[Any] = ()
    fits: Sequence[str] = ()
    keys: Sequence[str] = ()
    example: str = ""

    def to_json(self) -> dict[str, Any]:
        """As JSON; what is empty is left out."""
        return {name: value for name, value in vars(self).items() if value not in ("", (), [])}


@dataclass(frozen=True)
class Reference:
    """Every key of a file and every installed component, by name."""

    catalogue: Catalogue
    extra: Sequence[Meaning] = field(default=())
    """Names of other kinds that are explained too."""

    def find(self, name: str) -> list[Meaning]:
        """All that a name may mean, the key of a file first. Empty where nobody knows it.

        A name is a path as `--set` takes it (`entry.imp.schedule.to`), a component, a component's key, or a key alone.
        """
        path = _path(name)
        dotted = ".".join(path)
        found = {one.name: one for one in self._at(path)}
        if len(path) == 1:
            found |= {one.name: one for one in self.keys.values() if one.name.rpartition(".")[2] == dotted}
        found |= {one.name: one for one in self._component(path)}
        asked = dotted.removeprefix("execution.executor.")
        for one in self.extra:
            if asked in (one.name, one.name.rpartition(".")[2]):
                found[one.name] = one
        return list(found.values())

    @property
    def names(self) -> list[str]:
        """Every name that is known: to guess what was meant."""
        bare = {name.rpartition(".")[2] for name in self.keys}
        options = (
            f"{c}.{key}" for c, p in self.catalogue.providers.items() for key in option_meanings(p.component.config)
        )
        return [*self.keys, *bare, *self.catalogue.providers, *options, *(one.name for one in self.extra)]

    @cached_property
    def keys(self) -> dict[str, Meaning]:
        """Every key of every table, by where it stands."""
        return {one.name: one for place in TABLES for one in self.table(place)}

    def table(self, place: str) -> Iterator[Meaning]:
        """The keys of one of TABLES."""
        model = TABLES[place]
        schemas = model.model_json_schema(ref_template="{model}")["properties"]
        for name, info in _own_first(model):
            key = info.alias or name
            yield self._key(place, key, info, schemas[key])
        for key, early in model.more_keys.items():
            name = f"{place}.{key}".lstrip(".")
            yield Meaning(
                name,
                "key",
                early.meaning,
                early.type,
                early.default or "none",
                example=_in_table(place, early.example),
                keys=self._below(name),
            )

    def component(self, provider: Provider) -> Meaning:
        """One component."""
        component = provider.component
        about = _first_paragraph(provider)
        source = f" ({component.paper})" if component.paper else ""
        fits = [place for slot in slots_of(component) for place in self.places[slot]]
        kind = f"component of {provider.distribution}, version {component.version}"
        keys = [f"{component.name}.{key}" for key in option_meanings(component.config)]
        return Meaning(
            component.name, "component", about + source, kind, keys=keys, example=self._use(provider, {}), fits=fits
        )

    def options(self, provider: Provider) -> Iterator[Meaning]:
        """The keys of one component."""
        config = provider.component.config
        meanings, name = option_meanings(config), provider.component.name
        fields = {info.alias or field: info for field, info in config.model_fields.items()}

        def example(key: str, value: Any) -> str:
            beside = dict(_words(fields[key]).beside) if key in fields else {}
            return self._use(provider, {key: value, **beside})

        yield from keys_in(config, name, "key of a component", meanings, example)

    @cached_property
    def places(self) -> dict[str, list[str]]:
        """Where a component of each kind may be named."""
        found: dict[str, list[str]] = {}
        for place, model in TABLES.items():
            for name, info in model.model_fields.items():
                for mark in info.metadata:
                    if isinstance(mark, Slot):
                        found.setdefault(mark.name, []).append(f"{place}.{info.alias or name}")
        return found

    @cached_property
    def _fitting(self) -> dict[str, list[str]]:
        fitting: dict[str, list[str]] = {}
        for name, provider in self.catalogue.providers.items():
            for slot in slots_of(provider.component):
                fitting.setdefault(slot, []).append(name)
        return fitting

    def _key(self, place: str, key: str, info: FieldInfo, schema: Mapping[str, Any]) -> Meaning:
        name = f"{place}.{key}".lstrip(".")
        slots = [key] if not place and key in CHOICES else [m.name for m in info.metadata if isinstance(m, Slot)]
        fits = [one for slot in slots for one in self._fitting.get(slot, [])]
        shown = _example(info, schema)
        example = "" if shown is None else _in_table(place, _lines(key, shown, whole=not place))
        meaning = " ".join((info.description or "").split())
        default = "the file's" if place == "entry" and key in CHAIN_KEYS else _default(info)
        words = (_type(info, schema), default)
        return Meaning(name, "key", meaning, *words, choices(schema), fits, self._below(name), example)

    def _below(self, name: str) -> list[str]:
        """The keys of the table that stands at a key."""
        place = _table_at(name.split("."))
        return [] if place is None else [f"{name}.{key}" for key in keys_of(TABLES[place])]

    def _at(self, path: list[str]) -> Iterator[Meaning]:
        """The key at a path, or the keys of the components that may stand on the way."""
        if len(path) > 2 and path[0] == "entry" and path[1] not in keys_of(Entry):
            path = ["entry", *path[2:]]  # --set names the entry
        if len(path) > 2 and path[0] == "profile":
            path = path[2:] if path[1] not in keys_of(TopTable) else path[1:]
        for length in range(len(path), 0, -1):
            parent = _table_at(path[: length - 1])
            key = None if parent is None else self.keys.get(f"{parent}.{path[length - 1]}".lstrip("."))
            if key is None:
                continue
            rest = path[length:]
            if not rest:
                yield key
                return
            own = [name for name in key.fits if name == rest[0]]
            last = rest[1:] if own else rest
            for name in own or key.fits:
                provider = self.catalogue.providers[name]
                if not last:
                    yield self.component(provider)
                yield from (one for one in self.options(provider) if [one.name.rpartition(".")[2]] == last)
            return

    def _component(self, path: list[str]) -> Iterator[Meaning]:
        provider = self.catalogue.providers.get(path[0])
        if provider is None:
            return
        if len(path) == 1:
            yield self.component(provider)
        yield from (one for one in self.options(provider) if one.name == ".".join(path))

    def _use(self, provider: Provider, keys: Mapping[str, Any]) -> str:
        """A component where it may stand."""
        component = provider.component
        required = {
            info.alias or name: shown
            for name, info in component.config.model_fields.items()
            if info.is_required()
            and (shown := _example(info, component.config.model_json_schema()["properties"][info.alias or name]))
            is not None
        }
        table = {"use": component.name, **required, **{key: value for key, value in keys.items() if value is not None}}
        slot = next(iter(slots_of(component)), None)
        if slot is None:
            return ""
        place = self.places[slot][0]
        parent, _, key = place.rpartition(".")
        if slot in CHOICES:
            return "\n".join([f"[{slot}]", *(f"{name} = {_inline(value)}" for name, value in table.items())])
        return _in_table(parent, f"{key} = {_inline(component.name if len(table) == 1 else table)}")


def executor_keys(name: str, table: type[BaseModel]) -> Iterator[Meaning]:
    """The keys of the table `execution.executor` with `use` this executor's name."""
    meanings = {key: " ".join((info.description or "").split()) for key, info in table.model_fields.items()}

    def example(key: str, value: Any) -> str:
        return f"[execution]\nexecutor = {_inline({'use': name} if value is None else {'use': name, key: value})}"

    for one in keys_in(table, name, "key of an executor", meanings, example):
        if one.name != f"{name}.use":
            yield one


def keys_in(
    table: type[BaseModel],
    of: str,
    kind: str,
    meanings: Mapping[str, str],
    example: Callable[[str, Any], str],
) -> Iterator[Meaning]:
    """The keys of the table of something that is named `of`."""
    schemas = table.model_json_schema(ref_template="{model}")["properties"]
    for name, info in table.model_fields.items():
        key = info.alias or name
        schema, words = schemas[key], (_type(info, schemas[key]), _default(info))
        shown = example(key, _example(info, schema))
        yield Meaning(f"{of}.{key}", kind, meanings[key], *words, choices(schema), example=shown)


def keys_of(model: type[BaseModel]) -> list[str]:
    """The keys of a table in the order of its reference."""
    more: Mapping[str, object] = getattr(model, "more_keys", {})
    return [*(info.alias or name for name, info in _own_first(model)), *more]


def _own_first(model: type[BaseModel]) -> list[tuple[str, FieldInfo]]:
    """A table's fields, before those that it has in common with others."""
    return sorted(model.model_fields.items(), key=lambda field: field[0] not in model.__annotations__)


def _path(name: str) -> list[str]:
    """The parts of a name, as somebody may write it: `[[entry]].select`, `"train.lr"`."""
    return [part for part in re.sub(r"[\[\]\"'`\s]", "", name).split(".") if part] or [""]


def _table_at(path: Sequence[str]) -> str | None:
    """Which of TABLES stands at a path."""
    place = ""
    for part in path:
        place = SAME_AS.get(part, part if not place or part == "train" else f"{place}.{part}")
        if place not in TABLES:
            return None
    return place


def _type(info: FieldInfo, schema: Mapping[str, Any]) -> str:
    return _words(info).type or in_words(schema)


def _default(info: FieldInfo) -> str:
    words = _words(info).default
    if words:
        return words
    if info.is_required():
        return "required"
    value = info.get_default(call_default_factory=True)
    return "none" if value is None else f"`{_inline(value)}`"


def _words(info: FieldInfo) -> InWords:
    return next((mark for mark in info.metadata if isinstance(mark, InWords)), InWords())


def _example(info: FieldInfo, schema: Mapping[str, Any]) -> Any:
    """A value to show: the author's, another one than the default, or the default; None where there is none."""
    if info.examples:
        return info.examples[0]
    default = None if info.is_required() else info.get_default(call_default_factory=True)
    others = [value for value in choices(schema) if value != default]
    return others[0] if others and not isinstance(default, tuple | list) else default


def _in_table(place: str, line: str) -> str:
    """A line below the head of its table."""
    if not place or not line:
        return line
    top, _, rest = place.partition(".")
    head = f"[[{top}]]" if top in SEVERAL else f"[{top}]"
    return f"{head}\n{rest + '.' if rest else ''}{line}"


def _lines(key: str, value: Any, *, whole: bool) -> str:
    """A key with its value; a table of the file itself with a head of its own."""
    if whole and isinstance(value, Mapping):
        return "\n".join([f"[{key}]", *(f"{name} = {_inline(one)}" for name, one in value.items())])
    if whole and isinstance(value, list) and all(isinstance(one, Mapping) for one in value):
        return "\n".join([f"[[{key}]]", *(f"{name} = {_inline(one)}" for name, one in value[0].items())])
    return f"{key} = {_inline(value)}"


def _inline(value: Any) -> str:
    """A value as TOML writes it within a line."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_inline(one)}" for key, one in value.items()) + " }" if value else "{}"
    if isinstance(value, tuple | list):
        return "[" + ", ".join(_inline(one) for one in value) + "]"
    if isinstance(value, bool | int | float):
        return json.dumps(value)
    return json.dumps(str(value), ensure_ascii=False)


def _first_paragraph(provider: Provider) -> str:
    import inspect

    build = provider.component.build
    text = inspect.getdoc(inspect.getmodule(build)) or inspect.getdoc(build) or ""
    return " ".join(text.split("\n\n")[0].split())
