"""Installed plugins -> components by name; and the run manager, which registers only what an entry names. No torch."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any

import pluggy
from pydantic import ValidationError

from prunebench.api import hookspecs
from prunebench.api.component import BoundComponent, Component, Provider
from prunebench.api.errors import ConfigError, ContractError, nearest
from prunebench.components.explain import explain
from prunebench.components.managers import GROUP, _manager, implements


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

    def use(self, table: Mapping[str, Any] | str, *, slot: str | None = None, where: str = "") -> BoundComponent:
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
        use = BoundComponent(provider, config)
        if slot is not None:
            _check_slot(use, slot, at)
        return use

    def from_json(self, data: Mapping[str, Any]) -> BoundComponent:
        """A Use from its JSON in a phase. Raises ContractError where another version is installed."""
        provider = self.find(data["use"])
        if provider.component.version != data["version"]:
            raise ContractError(
                f"component {provider} has version {provider.component.version}; the phase was planned with "
                f"{data['version']}"
            )
        return BoundComponent(provider, provider.component.config.model_validate(data["config"]))


def _check_slot(use: BoundComponent, slot: str, at: str) -> None:
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
        slots_of = sorted({s for s, h in hookspecs.SLOTS.items() if implements(plugin, h)})
        other = f'; it fits "{slots_of[0]}"' if slots_of else ""
        raise ConfigError([f"{at}use: component {use} has no {hook}, which {slot!r} needs{other}"])
