"""Tasks that wait for their parents: counts of those they wait for, and heaps of those that are ready."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Collection, Hashable, Iterable
from typing import Generic, TypeVar

Lane = TypeVar("Lane", bound=Hashable)

Entry = tuple[float, int]
"""What a heap orders: path (negative) or time, and number of a task."""

# States: for its parents; in the heap of its lane; by whoever works on it; until a time; finished or dropped.
_WAITING, _READY, _TAKEN, _POSTPONED, _GONE = range(5)


class TaskGraph(Generic[Lane]):
    """Hands out tasks, each after its parents, those with the most expensive path before them first.

    Tasks are numbers, from 0 on in the order in which they are added. Every change costs O(log n) for each task that it
    concerns. Tasks of a lane need the same resources; a lane without room does not hold up the others.
    """

    def __init__(self) -> None:
        # What is known of tasks lies in columns: 10^5 of them as objects take three times as long.
        self._states = bytearray()
        self._waits: list[int] = []
        self._paths: list[float] = []
        self._children: list[list[int]] = []
        self._heaps: list[list[Entry]] = []
        # Entries of tasks that are not ready any more stay in the heaps until they come to the top.
        self._lanes: dict[Lane, list[Entry]] = {}
        self._postponed: list[Entry] = []
        self._left = 0

    def __len__(self) -> int:
        return self._left

    def __contains__(self, number: int) -> bool:
        return self._states[number] != _GONE

    @property
    def added(self) -> int:
        """How many tasks were added so far: the number of the next one."""
        return len(self._states)

    def extend(self, count: int, tasks: Iterable[tuple[float, Lane, Collection[int]]], behind: float = 0.0) -> None:
        """Add tasks.

        Args:
            tasks: so many; of each its cost, its lane, and the tasks of the graph that it waits for, new ones among
                them, each named once.
            behind: the path of a task that will wait for those of the new ones that nothing waits for yet.
        Raises:
            ValueError: new tasks wait for one another in a circle.
        """
        first = self.added
        self._left += count
        self._states += bytes(count)
        self._children += [[] for _ in range(count)]
        children, waits, paths, heaps = self._children, self._waits, self._paths, self._heaps
        in_order = True
        before: tuple[Lane, list[Entry]] | None = None
        for number, (cost, lane, parents) in enumerate(tasks, first):
            paths.append(cost)
            # Tasks that follow one another often are of one lane, whose hash takes as long as all the rest of this.
            if before is None or before[0] is not lane:
                before = (lane, self._lanes.setdefault(lane, []))
            heaps.append(before[1])
            waits.append(len(parents))
            for parent in parents:
                children[parent].append(number)
                in_order &= parent < number
        for number in reversed(range(first, first + count) if in_order else self._parents_first(first)):
            after = children[number]
            paths[number] += max([paths[child] for child in after]) if after else behind
            if not waits[number]:
                self._offer(number)

    def _parents_first(self, first: int) -> list[int]:
        """The new tasks, each after those of its parents that are new."""
        # Nothing that was there before waits for new tasks yet, so these are the only children that they have.
        inner = [0] * (self.added - first)
        for number in range(first, self.added):
            for child in self._children[number]:
                inner[child - first] += 1
        order = [first + place for place, count in enumerate(inner) if not count]
        for number in order:  # it grows meanwhile
            for child in self._children[number]:
                inner[child - first] -= 1
                if not inner[child - first]:
                    order.append(child)
        if len(order) < len(inner):
            raise ValueError("tasks wait for one another in a circle")
        return order

    def take(self, has_room: Callable[[Lane], bool], now: float) -> int | None:
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
        return number

    def finish(self, number: int) -> None:
        """A task that was taken is done: it leaves the graph, and its children wait for one parent less."""
        self._states[number] = _GONE
        self._left -= 1
        waits, children = self._waits, self._children[number]
        for child in children:
            waits[child] -= 1
            # A child is gone where another of its parents was dropped.
            if not waits[child] and self._states[child] != _GONE:
                self._offer(child)
        children.clear()

    def put_back(self, number: int, until: float | None = None) -> None:
        """A task that was taken is to be taken again, at once or from a time on."""
        if until is None:
            self._offer(number)
        else:
            self._states[number] = _POSTPONED
            heapq.heappush(self._postponed, (until, number))

    def wait(self, number: int, parents: Iterable[int]) -> None:
        """A task that was taken waits for tasks of the graph, each named once, of which there is at least one."""
        self._states[number] = _WAITING
        for parent in parents:
            self._children[parent].append(number)
            self._waits[number] += 1

    def drop(self, number: int) -> list[int]:
        """Take a task and all that wait for it out of the graph; those that waited, in no order."""
        dropped, stack = [], [number]
        while stack:
            one = stack.pop()
            if self._states[one] != _GONE:
                self._states[one] = _GONE
                dropped.append(one)
                stack += self._children[one]
                self._children[one] = []
        self._left -= len(dropped)
        return dropped[1:]

    def path(self, number: int) -> float:
        """The cost of the most expensive path from a task to an end, itself included, as it was when it was added."""
        return self._paths[number]

    def _offer(self, number: int) -> None:
        self._states[number] = _READY
        heapq.heappush(self._heaps[number], (-self._paths[number], number))
