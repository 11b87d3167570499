"""Installed plugins -> components by name; and the run manager, which registers only what an entry names. No torch."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy
from pydantic import ValidationError

from prunebench import hookspecs
from prunebench.errors import ConfigError, ContractError, PlanError, nearest
from prunebench.types import Clock, Component, ComponentConfig, Position

GROUP = "prunebench"

PLAIN = {
    "bool_parsing": "must be true or false",
    "bool_type": "must be true or false",
    "dict_type": "must be a table",
    "float_parsing": "must be a number",
    "float_type": "must be a number",
    "int_from_float": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_type": "must be a whole number",
    "list_type": "must be a list",
    "string_type": "must be a string",
    "tuple_type": "must be a list",
}
"""pydantic's kinds of errors that TOML has other words for."""


@dataclass(frozen=True)
class Provider:
    """A component together with where it comes from."""

    component: Component
    distribution: str
    module: str = ""

    def __str__(self) -> str:
        return f"{self.component.name} ({self.distribution})"


@dataclass(frozen=True)
class Use:
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


@dataclass(frozen=True)
class Catalogue:
    """Every component that is installed, by name."""

    providers: Mapping[str, Provider]
    broken: Mapping[str, str] = field(default_factory=dict)
    """Entry points that failed to load, with the error: the others still serve unless a file needs one of these."""

    @classmethod
    def load(cls, points: Iterable[EntryPoint] | None = None) -> Catalogue:
        """Read the entry points of the group "prunebench".

        Raises:
            ConfigError: two components of one name; names both distributions.
        """
        modules: list[tuple[str, str, object]] = []
        broken: dict[str, str] = {}
        for point in sorted(entry_points(group=GROUP) if points is None else points, key=lambda p: p.name):
            origin = f"{point.dist.name} {point.dist.version}" if point.dist is not None else point.value
            try:
                modules.append((origin, point.value, point.load()))
            except Exception as error:  # a stranger's import may fail in any way; it must not stop the rest
                broken[point.name] = f"{origin}: {type(error).__name__}: {error}"
        return cls.of(modules, broken)

    @classmethod
    def of(cls, modules: Iterable[tuple[str, str, object]], broken: Mapping[str, str] | None = None) -> Catalogue:
        """From (distribution, module name, plugin) triples."""
        failed = dict(broken or {})
        found: dict[str, list[Provider]] = {}
        for distribution, module, plugin in modules:
            manager = _manager()
            try:
                manager.register(plugin, name=module)
                manager.check_pending()
                offers = [c for offered in manager.hook.prunebench_components() for c in offered]
            except Exception as error:
                failed[module] = f"{distribution}: {type(error).__name__}: {error}"
                continue
            if not offers:
                failed[module] = (
                    f"{distribution}: {module} offers no component; is its prunebench_components a @hookimpl?"
                )
            for component in offers:
                found.setdefault(component.name, []).append(Provider(component, distribution, module))
        clashes = [
            f'component "{name}" is offered by ' + " and by ".join(f"{p.distribution} ({p.module})" for p in providers)
            for name, providers in sorted(found.items())
            if len(providers) > 1
        ]
        if clashes:
            raise ConfigError([f"{clash}: uninstall one of them or rename its component" for clash in clashes])
        return cls({name: providers[0] for name, providers in sorted(found.items())}, failed)

    def with_components(self, components: Iterable[Component], distribution: str) -> Catalogue:
        """This catalogue and a few components more, as if a distribution had brought them."""
        more = {c.name: Provider(c, distribution) for c in components}
        return Catalogue({**self.providers, **more}, self.broken)

    def find(self, name: str) -> Provider:
        """The provider of a component. Raises ConfigError with the nearest names."""
        if name in self.providers:
            return self.providers[name]
        message = f'no component "{name}".{nearest(name, self.providers)}'
        message += " `prunebench plugins` lists what is installed."
        for failed in self.broken.values():
            message += f"\n    A plugin failed to load and may be the one that is missing: {failed}"
        raise ConfigError([message])

    def use(self, table: Mapping[str, Any] | str, *, slot: str | None = None, where: str = "") -> Use:
        """Resolve `{ use = NAME, ... }` (or NAME) into a component with its configuration.

        Args:
            slot: the place in the file; the component must implement that slot's hook.
            where: what an error calls the place.
        Raises:
            ConfigError: with every error of the table.
        """
        table = {"use": table} if isinstance(table, str) else dict(table)
        at = f"{where}." if where else ""
        name = table.pop("use", None)
        if not isinstance(name, str):
            raise ConfigError([f'{at}use: which component? Write `use = "NAME"`.'])
        try:
            provider = self.find(name)
        except ConfigError as error:
            raise ConfigError([f"{at}use: {message}" for message in error.errors]) from None
        try:
            config = provider.component.config.model_validate(table)
        except ValidationError as error:
            known = list(provider.component.config.model_fields)
            raise ConfigError(explain(error, known, at, f' (component "{name}")')) from None
        use = Use(provider, config)
        if slot is not None:
            _check_slot(use, slot, at)
        return use

    def revive(self, data: Mapping[str, Any]) -> Use:
        """A Use from its JSON in a phase. Raises ContractError where another version is installed."""
        provider = self.find(data["use"])
        if provider.component.version != data["version"]:
            raise ContractError(
                f"component {provider} has version {provider.component.version}; the phase was planned with "
                f"{data['version']}"
            )
        return Use(provider, provider.component.config.model_validate(data["config"]))


def run_manager(uses: Sequence[Use]) -> pluggy.PluginManager:
    """A fresh manager with these components alone: answers in their order, each wrapper around those before it.

    Raises:
        ContractError: a hook with a wrong signature, or two providers of a first-result hook; names both.
    """
    manager = _manager()
    built = [(f"{index}:{use}", use, use.build()) for index, use in enumerate(uses)]
    # pluggy calls the last registered first. Read from top to bottom, plain answers come in the order of the file,
    # and each wrapper goes around those above it.
    plain = [one for one in built if not _wraps(one[2])]
    for name, use, plugin in (*reversed(plain), *(one for one in built if _wraps(one[2]))):
        try:
            manager.register(plugin, name=name)
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise ContractError(f"component {use}: {' '.join(str(error).split())}") from error
    for name, spec in vars(hookspecs).items():
        options = getattr(spec, "prunebench_spec", None)
        if options is None or not options["firstresult"]:
            continue
        answers = [i for i in getattr(manager.hook, name).get_hookimpls() if not (i.wrapper or i.hookwrapper)]
        if len(answers) > 1:
            names = " and ".join(i.plugin_name.partition(":")[2] for i in reversed(answers))
            raise ContractError(f"{name} is answered by {names}; only one may")
    return manager


def _wraps(plugin: object) -> bool:
    """Whether a built component wraps another's answer to some hook."""
    options = (getattr(getattr(plugin, hook, None), "prunebench_impl", None) for hook in hookspecs.SLOTS.values())
    return any(o is not None and (o["wrapper"] or o["hookwrapper"]) for o in options)


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    return manager


def implements(plugin: object, hook: str) -> bool:
    """Whether a built component has an implementation of a hook."""
    method = getattr(plugin, hook, None)
    return method is not None and hasattr(method, "prunebench_impl")


def fits(component: Component) -> tuple[str, ...]:
    """The places of a benchmark file where a component may be named."""
    made: object = component.build
    if not inspect.isclass(made):
        # A function says nothing of what it builds; a configuration without required keys can be tried.
        try:
            made = component.build(component.config())
        except ValueError:
            return ()
    return tuple(slot for slot, hook in hookspecs.SLOTS.items() if implements(made, hook))


def accepts(plugin: object, hook: str, argument: str) -> bool:
    """Whether a built component's implementation of a hook asks for an argument."""
    return argument in _parameters(_function(getattr(plugin, hook)))


def _function(method: Any) -> Any:
    return getattr(method, "__func__", method)


@cache
def _parameters(function: Any) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def ask(use: Use, hook: str, **arguments: Any) -> Any:
    """Ask a component while planning, with the arguments that its implementation wants; None if it has none."""
    plugin = use.planner
    if not implements(plugin, hook):
        return None
    method = getattr(plugin, hook)
    wanted = _parameters(_function(method))
    return method(**{name: value for name, value in arguments.items() if name in wanted})


def _check_slot(use: Use, slot: str, at: str) -> None:
    hook = hookspecs.SLOTS[slot]
    try:
        plugin = use.build()
        manager = _manager()
        manager.register(plugin)
        manager.check_pending()
    except pluggy.PluginValidationError as error:
        text = " ".join(str(error).split())
        raise ConfigError([f"{at}use: component {use} has a hook with a wrong signature: {text}"]) from None
    except ValueError as error:
        raise ConfigError([f"{at.rstrip('.')}: component {use}: {error}"]) from None
    if not implements(plugin, hook):
        fits = sorted({s for s, h in hookspecs.SLOTS.items() if implements(plugin, h)})
        other = f'; it fits "{fits[0]}"' if fits else ""
        raise ConfigError([f"{at}use: component {use} has no {hook}, which {slot!r} needs{other}"])


def explain(error: ValidationError, known: Iterable[str], at: str, of: str = "") -> list[str]:
    """pydantic's errors as lines with the key, what is wrong, and the nearest known names."""
    names = list(known)
    lines = []
    wrong = [item["loc"] for item in error.errors()]
    for item in error.errors():
        path = place(item["loc"])
        if item["type"] == "too_short" and any(loc[: len(item["loc"])] == item["loc"] != loc for loc in wrong):
            continue  # it is short of the items that are wrong, which are told themselves
        if item["type"] == "extra_forbidden":
            close = nearest(str(item["loc"][-1]), names) if len(item["loc"]) == 1 else ""
            lines.append(f"{at}{path}: unknown key{of}.{close}")
        elif item["type"] == "missing":
            lines.append(f"{at}{path}: missing{of}")
        else:
            message = PLAIN.get(item["type"]) or item["msg"].removeprefix("Value error, ")
            message = message.replace("Input should be", "must be", 1)
            got = item["input"]
            if item["type"] == "too_short" and not got:
                message = "the list is empty"
            # A whole table or list says no more than its key does, unless another type is needed there.
            whole = isinstance(got, dict | ComponentConfig | Position) or (
                isinstance(got, list | tuple) and item["type"] not in PLAIN
            )
            told = repr(got) in message or f'"{got}"' in message
            shown = "" if whole or told else f", not {got!r}"
            where = f"{at}{path}".rstrip(".: ")  # what is wrong with a table as a whole has no path
            lines.append(f"{where}: {message}{shown}{of}")
    return lines


def place(path: Sequence[str | int]) -> str:
    """A path into a file as a person writes it: `train.lr[1].factor`."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
