from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import cast

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.bare_phases import bare_phase
from engine.toy_runs import open_store, prepared, run
from prunebench.api.planning import Ref
from prunebench.engine.missing import missing, samples
from prunebench.plan.demand import demanded
from prunebench.plan.phases import Phase
from prunebench.plan.trial import Plan
from prunebench.store.store import Store


class Known:
    """A store that has some addresses, and counts how often it is asked."""

    def __init__(self, addresses: Iterable[str] = ()) -> None:
        self.addresses, self.asked = set(addresses), 0

    def have(self, addresses: Iterable[str]) -> set[str]:
        self.asked += 1
        return self.addresses.intersection(addresses)


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    phases: dict[str, Phase] = {}
    refs: list[Ref] = []
    for index in range(draw(st.integers(1, 12))):
        parents = draw(st.lists(st.sampled_from(refs), max_size=3, unique=True)) if refs else []
        key = f"{index:064x}"
        phases[key] = bare_phase(key, parents=parents)
        refs += [Ref(key, "weights"), Ref(key, "mask")]
    sinks = draw(st.lists(st.sampled_from(refs), min_size=1, max_size=4))
    return Plan(phases, (), {}, {}, 0, also=tuple(sinks))


@settings(deadline=None)
@given(plans(), st.data())
def test_what_is_missing_is_what_is_demanded_and_not_there(plan: Plan, data: st.DataObject) -> None:
    refs = [Ref(key, part) for key in plan.phases for part in ("weights", "mask")]  # type: ignore[arg-type]
    there = data.draw(st.sets(st.sampled_from(refs)))
    store = Known(ref.address for ref in there)
    found = missing(plan, cast(Store, store))
    wanted = demanded(dict(plan.phases), list(plan.sinks), lambda ref: ref in there)
    assert {key: frozenset(outputs) for key, outputs in found.items()} == wanted
    assert sum(map(len, found.values())) == sum(map(len, wanted.values()))


def test_the_store_is_asked_in_sweeps_and_not_for_each_output(store_path: Path) -> None:
    plan = prepared(store_path, {"rounds": 4, "seeds": [0, 1, 2]}).plan
    nothing = Known()
    assert len(missing(plan, cast(Store, nothing))) == len(plan.wanted) >= 30
    assert nothing.asked < 12
    everything = Known(ref.address for refs in plan.wanted.values() for ref in refs)
    assert missing(plan, cast(Store, everything)) == {}
    assert everything.asked == 1


def test_samples_are_steps_times_batch_of_what_trains(store_path: Path) -> None:
    plan = prepared(store_path).plan
    for key, outputs in plan.wanted.items():
        assert samples(plan.phases[key], outputs) == (24 * 8 if plan.phases[key].kind == "train" else 0)


def test_a_run_leaves_nothing_missing(store_path: Path) -> None:
    plan = prepared(store_path).plan
    assert missing(plan, open_store(store_path)).keys() == plan.wanted.keys()
    run(store_path)
    assert missing(plan, open_store(store_path)) == {}
