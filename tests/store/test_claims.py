"""Leases as claims, by a clock of the test's own: who may take one, whatever the others do and when."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.api.errors import StoreError
from prunebench.store.claims import ClaimLease, Watch

SECONDS = 30.0


class Memory:
    """Versioned blobs; now and then it cannot be reached, or carries a write out and says that it did not."""

    def __init__(self) -> None:
        self.blobs: dict[str, tuple[bytes, int]] = {}
        self.writes = 0
        self.down = False

    def create(self, path: str, data: bytes) -> int | None:
        return None if path in self.blobs else self._write(path, data)

    def read(self, path: str) -> tuple[bytes, int] | None:
        if self.down:
            raise StoreError("down")
        return self.blobs.get(path)

    def update(self, path: str, data: bytes, version: int) -> int | None:
        if self.down:
            raise StoreError("down")
        return self._write(path, data) if path in self.blobs and self.blobs[path][1] == version else None

    def _write(self, path: str, data: bytes) -> int:
        if self.down:
            raise StoreError("down")
        self.writes += 1
        self.blobs[path] = (data, self.writes)
        return self.writes


class Clocked(ClaimLease[int]):
    """Renewed by the test alone."""

    def _keep_renewing(self, stop: object) -> None:
        pass


def leases(memory: Memory, now: list[float], count: int) -> list[Clocked]:
    """Each of a process of its own: it has seen what it has looked at itself."""
    return [Clocked(memory, "work", Watch(lambda: now[0]), SECONDS) for _ in range(count)]


gaps = st.lists(st.floats(0, SECONDS - 0.01), max_size=12)


@settings(deadline=None)
@given(gaps, st.lists(st.integers(1, 3), max_size=40))
def test_a_lease_that_is_renewed_in_time_is_never_taken(gaps: Sequence[float], looks: Sequence[int]) -> None:
    memory, now = Memory(), [0.0]
    holder, *others = leases(memory, now, 4)
    assert holder.try_acquire()
    for index, gap in enumerate(gaps):
        for look in looks[index::3]:
            assert not others[look - 1].try_acquire()
        now[0] += gap
        holder.renew()
        assert holder.try_acquire()
    holder.release()
    assert others[0].try_acquire()


steps = st.lists(
    st.tuples(st.sampled_from(["try", "renew", "release", "wait", "down"]), st.integers(0, 3), st.floats(0, 45)),
    max_size=60,
)


@settings(deadline=None)
@given(steps)
def test_of_any_who_come_and_go_at_most_one_is_not_told_that_it_has_lost(steps: list[tuple[str, int, float]]) -> None:
    memory, now = Memory(), [0.0]
    all_of_them = leases(memory, now, 4)
    for step, index, seconds in steps:
        lease = all_of_them[index]
        try:
            if step == "try":
                lease.try_acquire()
            elif step == "renew":
                lease.renew()
            elif step == "release":
                lease.release()
            elif step == "wait":
                now[0] += seconds
            else:
                memory.down = not memory.down
        except StoreError:
            assert memory.down
    memory.down = False
    for lease in all_of_them:
        lease.renew()
    held = [lease for lease in all_of_them if lease._stop is not None and lease.try_acquire()]
    assert len(held) <= 1
    for lease in all_of_them:
        lease.release()
    now[0] += SECONDS + 1
    fresh = leases(memory, now, 1)[0]
    fresh.try_acquire()
    now[0] += SECONDS + 1
    assert fresh.try_acquire()


def test_a_lease_that_cannot_be_asked_for_is_an_error_and_one_that_cannot_be_renewed_is_none() -> None:
    memory, now = Memory(), [0.0]
    first, second = leases(memory, now, 2)
    memory.down = True
    with pytest.raises(StoreError):
        first.try_acquire()
    memory.down = False
    assert first.try_acquire()
    memory.down = True
    first.renew()
    memory.down = False
    first.renew()
    assert first.try_acquire()
    assert not second.try_acquire()
