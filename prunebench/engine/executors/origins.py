"""Where components come from, so that another process finds the same ones: by import, never by pickling."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint
from typing import Any

from prunebench.api.component import Component, Provider
from prunebench.api.errors import WorkerError
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import GROUP


@dataclass(frozen=True)
class Origin:
    """A component by name: the module (or "module:object") that offers it, its distribution and its version."""

    name: str
    module: str
    distribution: str
    version: int

    def __str__(self) -> str:
        return f'component "{self.name}" ({self.distribution})'


def origins_of(catalogue: Catalogue, needed: Iterable[str]) -> tuple[Origin, ...]:
    """Where another process finds the components of a catalogue.

    Args:
        needed: those that it must find; of the others, those that can be found.
    Raises:
        WorkerError: with each needed component that another process cannot import, and what to do.
    """
    origins = [_origin(provider) for provider in catalogue.providers.values()]
    offers = _Offers()
    lost = {origin.name: why for origin in origins if (why := offers.why_not(origin)) is not None}
    cannot = [f"{_origin(catalogue.find(name))}: {lost[name]}" for name in needed if name in lost]
    if cannot:
        raise WorkerError(
            "\n".join(cannot) + "\nA worker is a process of its own, which imports components. Put them into a module "
            "whose `prunebench_components` yields them, or compute in this process: execution.workers = 0"
        )
    return tuple(origin for origin in origins if origin.name not in lost)


def rebuilt(origins: Iterable[Origin], needed: Mapping[str, int]) -> Catalogue:
    """The catalogue of these components, in whatever process. Those that are not needed are imported when they are.

    Args:
        needed: versions by name of the components that work will name.
    Raises:
        WorkerError: with each needed component that is not here, or in another version.
    """
    providers = _Providers(origins)
    missing = []
    for name in needed:
        try:
            providers[name]
        except KeyError:
            missing.append(f'component "{name}" is not here')
        except WorkerError as error:
            missing.append(str(error))
    if missing:
        raise WorkerError("a worker has other components than the process that sends it work: " + "; ".join(missing))
    return Catalogue(providers)


class _Providers(Mapping[str, Provider]):
    """Providers by name, each imported when it is looked at. Raises WorkerError where that fails."""

    def __init__(self, origins: Iterable[Origin]) -> None:
        self._origins = {origin.name: origin for origin in origins}
        self._offers = _Offers()

    def __getitem__(self, name: str) -> Provider:
        origin = self._origins[name]
        why = self._offers.why_not(origin)
        if why is not None:
            raise WorkerError(f"{origin}: {why}")
        return Provider(self._offers.of(origin.module)[name], origin.distribution, origin.module)

    def __contains__(self, name: object) -> bool:
        return name in self._origins

    def __iter__(self) -> Iterator[str]:
        return iter(self._origins)

    def __len__(self) -> int:
        return len(self._origins)


class _Offers:
    """What modules offer, each imported once."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, Component] | str] = {}

    def of(self, module: str) -> dict[str, Component]:
        """The components of a module, by name. Raises WorkerError if it cannot be imported."""
        if module not in self._known:
            try:
                self._known[module] = _offered(module)
            except Exception as error:  # a stranger's import may fail in any way
                self._known[module] = f"{module} cannot be imported ({type(error).__name__}: {error})"
        found = self._known[module]
        if isinstance(found, str):
            raise WorkerError(found)
        return found

    def why_not(self, origin: Origin) -> str | None:
        """Why a component is not found where it should be; None if it is."""
        if not origin.module:
            return "it does not say which module it comes from"
        if origin.module == "__main__" and not hasattr(sys.modules["__main__"], "__file__"):
            return "it was made in an interactive session, which no other process can import"
        try:
            component = self.of(origin.module).get(origin.name)
        except WorkerError as error:
            return str(error)
        if component is None:
            return f"{origin.module} does not offer it to whoever imports it"
        if component.version != origin.version:
            return f"{origin.module} offers version {component.version}, not {origin.version}"
        return None


def _origin(provider: Provider) -> Origin:
    component = provider.component
    # A component that was added by hand comes from the module of what it builds.
    module = provider.module or getattr(component.build, "__module__", None) or ""
    return Origin(component.name, module, provider.distribution, component.version)


def _offered(module: str) -> dict[str, Component]:
    plugin: Any = EntryPoint(module, module, GROUP).load()
    hook = getattr(plugin, "prunebench_components", None)
    found = [value for value in vars(plugin).values() if isinstance(value, Component)]
    return {component.name: component for component in [*found, *(hook() if hook is not None else ())]}
