"""Which environment each chain of phases belongs to, where workers compute in several."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prunebench.engine.executors.api import Capacity
from prunebench.engine.missing import samples
from prunebench.plan.phases import Phase
from prunebench.plan.trial import Plan
from prunebench.store.store import Artifact, Record, Store


def homes_of(plan: Plan, capacity: Sequence[Capacity], stores: Mapping[str, Store]) -> dict[str, str]:
    """The id of the environment that each phase of a plan belongs to.

    Phases that are connected, however far apart, have one home: no number rests on two environments, and what is
    compared within a seed was made in one. A chain goes where most of it is stored, else where least work for each slot
    lies so far, the longest chain first.

    Args:
        capacity: the environments.
        stores: a store for each, by id.
    """
    ids = [one.environment.id for one in capacity]
    if len(ids) == 1:
        return dict.fromkeys(plan.wanted, ids[0])
    load = dict.fromkeys(ids, 0.0)
    slots = {one.environment.id: one.slots for one in capacity}
    found: dict[str, str] = {}
    chains = [(_cost(plan, chain), chain) for chain in _connected(plan.phases, plan.wanted)]
    for cost, chain in sorted(chains, key=lambda one: -one[0]):
        addresses = [ref.address for key in chain for ref in plan.wanted[key]]
        there = {name: len(stores[name].have(addresses)) for name in ids}
        home = min(ids, key=lambda name: (-there[name], (load[name] + cost) / slots[name], ids.index(name)))
        load[home] += cost
        found.update(dict.fromkeys(chain, home))
    return found


def _cost(plan: Plan, chain: Iterable[str]) -> float:
    return float(sum(samples(plan.phases[key], plan.wanted[key]) or 1 for key in chain))


def _connected(phases: Mapping[str, Phase], keys: Iterable[str]) -> list[list[str]]:
    """The keys in groups: those that are connected by parents."""
    wanted = set(keys)
    neighbours: dict[str, list[str]] = defaultdict(list)
    for key in wanted:
        for parent in phases[key].parents:
            if parent.key in wanted:
                neighbours[key].append(parent.key)
                neighbours[parent.key].append(key)
    groups, seen = [], set[str]()
    for key in sorted(wanted):
        if key in seen:
            continue
        group, stack = [], [key]
        seen.add(key)
        while stack:
            group.append(stack.pop())
            new = [other for other in neighbours[group[-1]] if other not in seen]
            seen.update(new)
            stack += dict.fromkeys(new)
        groups.append(group)
    return groups


class HomesStore(Store):
    """A store as the process sees it that sends work to several environments: each output counts where its home is.

    Its own environment is that with the most slots.
    """

    def __init__(self, plan: Plan, homes: Mapping[str, str], stores: Mapping[str, Store], main: str) -> None:
        own = stores[main]
        super().__init__(own.backend, environment=own.environment, reuse=own.reuse)
        self._stores, self._main = stores, main
        self._home = {ref.address: homes[key] for key, outputs in plan.wanted.items() for ref in outputs}
        """By address, of what does not belong to the main environment or is known to."""

    def _store_of(self, address: str) -> Store:
        return self._stores[self._home.get(address, self._main)]

    def _by_store(self, addresses: Iterable[str]) -> dict[str, list[str]]:
        groups: dict[str, list[str]] = defaultdict(list)
        for address in addresses:
            groups[self._home.get(address, self._main)].append(address)
        return groups

    def has(self, address: str) -> bool:
        """See Store.has."""
        return self._store_of(address).has(address)

    def have(self, addresses: Iterable[str]) -> set[str]:
        """See Store.have."""
        groups = self._by_store(addresses)
        return {address for name, group in groups.items() for address in self._stores[name].have(group)}

    def records(self, addresses: Iterable[str]) -> dict[str, Record]:
        """See Store.records."""
        groups = self._by_store(addresses)
        return {at: one for name, group in groups.items() for at, one in self._stores[name].records(group).items()}

    def meta(self, address: str) -> Record:
        """See Store.meta."""
        return self._store_of(address).meta(address)

    def files(self, record: Record) -> Mapping[str, bytes]:
        """See Store.files."""
        return self._store_of(record.address).files(record)

    def get(self, address: str) -> Artifact:
        """See Store.get."""
        return self._store_of(address).get(address)

    def put(self, address: str, files: Mapping[str, bytes], meta: dict[str, Any], parents: Iterable[str]) -> Artifact:
        """See Store.put."""
        return self._store_of(address).put(address, files, meta, parents)

    def drop_payload(self, address: str) -> None:
        """See Store.drop_payload."""
        self._store_of(address).drop_payload(address)
