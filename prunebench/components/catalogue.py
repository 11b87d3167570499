"""Installed plugins -> components by name. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import Distribution, EntryPoint, entry_points
from itertools import islice
from typing import Any

import pluggy
from pydantic import ValidationError

from prunebench.api import hookspecs
from prunebench.api.component import BoundComponent, Component, Provider
from prunebench.api.errors import ConfigError, ContractError, nearest
from prunebench.api.problems import Problem, problems, refusal, shortened
from prunebench.api.untrusted_text import describe
from prunebench.components.interrupts import is_ctrl_c
from prunebench.components.managers import GROUP, _manager, check_signatures, implements, slots_of
from prunebench.components.time_limit import limited

MOST_COMPONENTS = 10_000
"""Of one plugin: more than anybody has, for one that never ends."""


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
        known: dict[Distribution, str] = {}
        for point in sorted(entry_points(group=GROUP) if points is None else points, key=lambda p: p.name):
            origin = point.value
            if point.dist is not None:
                # Asked for its name, a distribution reads its whole metadata anew, and one may have 100 entry points.
                if point.dist not in known:
                    known[point.dist] = f"{point.dist.name} {point.dist.version}"
                origin = known[point.dist]
            try:
                modules.append((origin, point.value, limited(point.load)))
            except BaseException as error:  # a stranger's import may fail in any way; the rest goes on
                if is_ctrl_c(error):
                    raise
                broken[point.name] = f"{origin}: {describe(error)}"
        return cls.of(modules, broken)

    @classmethod
    def of(cls, modules: Iterable[tuple[str, str, object]], broken: Mapping[str, str] | None = None) -> Catalogue:
        """From (distribution, module name, plugin) triples."""
        failed = dict(broken or {})
        offered: dict[str, list[Provider]] = {}
        for distribution, module, plugin in modules:
            manager = _manager()
            try:
                manager.register(plugin, name=module)
                manager.check_pending()
                offers = limited(partial(_offers, manager))
            except BaseException as error:
                if is_ctrl_c(error):
                    raise
                failed[module] = f"{distribution}: {describe(error)}"
                continue
            if not offers:
                failed[module] = (
                    f"{distribution}: {module} offers no component; is its prunebench_components a @hookimpl?"
                )
            for component in offers:
                offered.setdefault(component.name, []).append(Provider(component, distribution, module))
        clashes = [
            f'component "{name}" is offered by ' + " and by ".join(f"{p.distribution} ({p.module})" for p in providers)
            for name, providers in sorted(offered.items())
            if len(providers) > 1
        ]
        if clashes:
            raise ConfigError([f"{clash}: uninstall one of them or rename its component" for clash in clashes])
        return cls({name: providers[0] for name, providers in sorted(offered.items())}, failed)

    def with_components(self, components: Iterable[Component], distribution: str) -> Catalogue:
        """This catalogue and a few components more, as if a distribution had brought them."""
        more = {c.name: Provider(c, distribution) for c in components}
        return Catalogue({**self.providers, **more}, self.broken)

    def in_slot(self, name: str, slot: str | None) -> str:
        """What a name stands for in a place of a file: NAME for NAME-SLOT, where NAME itself is of another place.

        So `[data] use = "timm"` and `[model] use = "timm"` are two components.
        """
        own = self.providers.get(name)
        other = f"{name}-{slot}"
        if slot is None or own is None or other not in self.providers or slot in slots_of(own.component):
            return name
        return other

    def built_in(self) -> Catalogue:
        """Of these, the components that prunebench's own distribution brings."""
        own = {name: p for name, p in self.providers.items() if p.built_in}
        return Catalogue(own)

    def find(self, name: str) -> Provider:
        """The provider of a component. Raises ConfigError with the nearest names."""
        if name in self.providers:
            return self.providers[name]
        message = f'no component "{name}".{nearest(name, self.providers)}'
        message += " `prunebench plugins` lists what is installed."
        for failed in self.broken.values():
            message += f"\n    A plugin failed to load and may be the one that is missing: {failed}"
        raise ConfigError([message])

    def use(self, table: Mapping[str, Any] | str, *, slot: str | None = None, where: str = "") -> BoundComponent:
        """Resolve `{ use = NAME, ... }` (or NAME) into a component with its configuration.

        Args:
            slot: the place in the file; the component must implement that slot's hook.
            where: what an error calls the place.
        Raises:
            ConfigError: with every error of the table.
        """
        try:
            return self.bind(table, slot)
        except ValidationError as error:
            raise ConfigError([one.at(f"{where}." if where else "") for one in problems(error)]) from None

    def bind(self, table: object, slot: str | None = None) -> BoundComponent:
        """The same, with errors for a table that the component stands in.

        Raises:
            ValidationError: with every problem of the table.
        """
        if slot is not None and slot not in hookspecs.SLOTS:
            raise refusal([Problem((), "unknown key.")])
        keys = {"use": table} if isinstance(table, str) else table
        if not isinstance(keys, Mapping):
            raise refusal([Problem((), f"must be a table, not {shortened(table)}")])
        name = keys.get("use")
        if not isinstance(name, str):
            raise refusal([Problem(("use",), 'which component? Write `use = "NAME"`.')])
        try:
            provider = self.find(self.in_slot(name, slot))
        except ConfigError as error:
            raise refusal([Problem(("use",), message) for message in error.errors]) from None
        try:
            config = provider.component.config.model_validate({key: keys[key] for key in keys if key != "use"})
        except ValidationError as error:
            raise refusal(problems(error, of=f' (component "{name}")')) from None
        except Exception as error:  # a validator of a stranger's configuration may fail in any way
            raise refusal([Problem((), f"component {provider}: {type(error).__name__}: {error}")]) from None
        use = BoundComponent(provider, config)
        if slot is not None:
            _check_slot(use, slot)
        return use

    def from_json(self, data: Mapping[str, Any]) -> BoundComponent:
        """A component from its JSON in a phase. Raises ContractError where another version is installed."""
        provider = self.find(data["use"])
        if provider.component.version != data["version"]:
            raise ContractError(
                f"component {provider} has version {provider.component.version}; the phase was planned with "
                f"{data['version']}"
            )
        return BoundComponent(provider, provider.component.config.model_validate(data["config"]))


def _offers(manager: pluggy.PluginManager) -> list[Component]:
    offers = [one for several in manager.hook.prunebench_components() for one in islice(several, MOST_COMPONENTS)]
    wrong = next((one for one in offers if not isinstance(one, Component)), None)
    if wrong is not None:
        raise ContractError(f"prunebench_components gave {type(wrong).__name__}, not a Component")
    return offers


def _check_slot(use: BoundComponent, slot: str) -> None:
    """Raises ValidationError unless a component can be built and has the hook of its place."""
    hook = hookspecs.SLOTS[slot]
    try:
        plugin = limited(use.build)
        check_signatures(plugin)
    except pluggy.PluginValidationError as error:
        text = " ".join(str(error).split())
        raise refusal([Problem(("use",), f"component {use} has a hook with a wrong signature: {text}")]) from None
    except ValueError as error:
        raise refusal([Problem((), f"component {use}: {error}")]) from None
    except BaseException as error:  # a stranger's constructor may fail in any way
        if is_ctrl_c(error):
            raise
        raise refusal([Problem((), f"component {use}: {describe(error)}")]) from None
    if not implements(plugin, hook):
        fitting = sorted({s for s, h in hookspecs.SLOTS.items() if implements(plugin, h)})
        other = f'; it fits "{fitting[0]}"' if fitting else ""
        raise refusal([Problem(("use",), f"component {use} has no {hook}, which {slot!r} needs{other}")])
