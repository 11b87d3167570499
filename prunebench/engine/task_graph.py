"""Tasks that wait for their parents: counts of those they wait for, and heaps of those that are ready."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable
from typing import Generic, TypeVar

Lane = TypeVar("Lane", bound=Hashable)

Entry = tuple[float, int]
"""What a heap orders: path (negative) or time, and number of a task."""

# States: for its parents; in the heap of its lane; by whoever works on it; until a time; finished or dropped.
_WAITING, _READY, _TAKEN, _POSTPONED, _GONE = range(5)


class TaskGraph(Generic[Lane]):
    """Hands out tasks, each after its parents, those with the most expensive path before them first.

    Every change costs O(log n) for each task that it concerns. Tasks of a lane need the same resources; a lane without
    room does not hold up the others.
    """

    def __init__(self) -> None:
        # Tasks are numbers, and what is known of them lies in columns: 10^5 tasks as objects take three times as long.
        self._numbers: dict[str, int] = {}
        self._keys: list[str] = []
        self._states = bytearray()
        self._waits: list[int] = []
        self._paths: list[float] = []
        self._children: list[list[int]] = []
        self._heaps: list[list[Entry]] = []
        # Entries of tasks that are not ready any more stay in the heaps until they come to the top.
        self._lanes: dict[Lane, list[Entry]] = {}
        self._postponed: list[Entry] = []

    def __len__(self) -> int:
        return len(self._numbers)

    def __contains__(self, key: str) -> bool:
        return key in self._numbers

    def extend(
        self, keys: Iterable[str], describe: Callable[[str], tuple[float, Lane, Iterable[str]]], behind: float = 0.0
    ) -> None:
        """Add tasks.

        Args:
            keys: none is in the graph.
            describe: called once for each; its cost, its lane, and the tasks of the graph that it waits for, new ones
                among them, each named once.
            behind: the path of a task that will wait for those of the new ones that nothing waits for yet.
        Raises:
            ValueError: new tasks wait for one another in a circle.
        """
        first = len(self._keys)
        self._keys += keys
        count = len(self._keys) - first
        self._numbers.update(zip(self._keys[first:], range(first, first + count), strict=True))
        self._states += bytes(count)
        self._waits += [0] * count
        self._children += [[] for _ in range(count)]
        inner = [0] * count
        before: tuple[Lane, list[Entry]] | None = None
        for number in range(first, first + count):
            cost, lane, parents = describe(self._keys[number])
            self._paths.append(cost)
            # Tasks that follow one another often are of one lane, whose hash takes as long as all the rest of this.
            if before is None or before[0] is not lane:
                before = (lane, self._lanes.setdefault(lane, []))
            self._heaps.append(before[1])
            for key in parents:
                parent = self._numbers[key]
                self._children[parent].append(number)
                self._waits[number] += 1
                inner[number - first] += parent >= first
        for number in reversed(self._parents_first(first, inner)):
            children = self._children[number]
            self._paths[number] += max([self._paths[child] for child in children]) if children else behind
            if not self._waits[number]:
                self._offer(number)

    def _parents_first(self, first: int, inner: list[int]) -> list[int]:
        """The new tasks, each after its new parents, of which `inner` has the numbers."""
        order = [first + place for place, count in enumerate(inner) if not count]
        for number in order:  # it grows meanwhile
            for child in self._children[number]:
                inner[child - first] -= 1
                if not inner[child - first]:
                    order.append(child)
        if len(order) < len(inner):
            raise ValueError("tasks wait for one another in a circle")
        return order

    def take(self, has_room: Callable[[Lane], bool], now: float) -> str | None:
        """The ready task with the most expensive path, of the lanes that have room; None if there is none."""
        states = self._states
        while self._postponed and self._postponed[0][0] <= now:
            _, number = heapq.heappop(self._postponed)
            if states[number] == _POSTPONED:
                self._offer(number)
        best: list[Entry] | None = None
        for lane, heap in self._lanes.items():
            while heap and states[heap[0][1]] != _READY:
                heapq.heappop(heap)
            if heap and (best is None or heap[0] < best[0]) and has_room(lane):
                best = heap
        if best is None:
            return None
        _, number = heapq.heappop(best)
        states[number] = _TAKEN
        return self._keys[number]

    def finish(self, key: str) -> None:
        """A task that was taken is done: it leaves the graph, and its children wait for one parent less."""
        number = self._numbers.pop(key)
        self._states[number] = _GONE
        waits = self._waits
        for child in self._children[number]:
            waits[child] -= 1
            # A child is gone where another of its parents was dropped.
            if not waits[child] and self._states[child] != _GONE:
                self._offer(child)
        self._children[number] = []

    def put_back(self, key: str, until: float | None = None) -> None:
        """A task that was taken is to be taken again, at once or from a time on."""
        number = self._numbers[key]
        if until is None:
            self._offer(number)
        else:
            self._states[number] = _POSTPONED
            heapq.heappush(self._postponed, (until, number))

    def wait(self, key: str, parents: Iterable[str]) -> None:
        """A task that was taken waits for tasks of the graph, each named once, of which there is at least one."""
        number = self._numbers[key]
        self._states[number] = _WAITING
        for parent in parents:
            self._children[self._numbers[parent]].append(number)
            self._waits[number] += 1

    def drop(self, key: str) -> list[str]:
        """Take a task and all that wait for it out of the graph; those that waited, in no order."""
        first = self._numbers[key]
        dropped, stack = [], [first]
        while stack:
            number = stack.pop()
            if self._states[number] != _GONE:
                self._states[number] = _GONE
                dropped.append(self._keys[number])
                del self._numbers[self._keys[number]]
                stack += self._children[number]
                self._children[number] = []
        return dropped[1:]

    def path(self, key: str) -> float:
        """The cost of the most expensive path from a task to an end, itself included, as it was when it was added."""
        return self._paths[self._numbers[key]]

    def _offer(self, number: int) -> None:
        self._states[number] = _READY
        heapq.heappush(self._heaps[number], (-self._paths[number], number))
