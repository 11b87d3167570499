"""Tasks that wait for their parents: counts of those they wait for, and heaps of those that are ready."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Generic, TypeVar

Lane = TypeVar("Lane", bound=Hashable)


class _State(Enum):
    WAITING = "for its parents"
    READY = "in the heap of its lane"
    TAKEN = "by whoever works on it"
    POSTPONED = "until a time"


Entry = tuple[float, int, str]
"""What a heap orders: path (negative), number and key of a task."""


@dataclass(slots=True)
class _Task:
    number: int
    cost: float
    heap: list[Entry]
    """That of its lane."""
    path: float = 0.0
    """Cost of the most expensive path from here to an end, this task included."""
    waits: int = 0
    """Parents that are not finished."""
    children: list[str] = field(default_factory=list)
    state: _State = _State.WAITING


class TaskGraph(Generic[Lane]):
    """Hands out tasks, each after its parents, those with the most expensive path before them first.

    Every change costs O(log n) for each task that it concerns. Tasks of a lane need the same resources; a lane without
    room does not hold up the others.
    """

    def __init__(self) -> None:
        self._tasks: dict[str, _Task] = {}
        # Entries of tasks that are not ready any more stay in the heaps until they come to the top.
        self._ready: dict[Lane, list[Entry]] = {}
        self._postponed: list[Entry] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._tasks)

    def __contains__(self, key: str) -> bool:
        return key in self._tasks

    def extend(self, new: Mapping[str, tuple[float, Lane]], edges: Iterable[tuple[str, str]]) -> None:
        """Add tasks, and edges from parents to children that wait for them.

        Args:
            new: cost and lane by key; none is in the graph.
            edges: each once; to new tasks, or to one that was taken or is waiting, which then waits.
        Raises:
            ValueError: the edges between new tasks make a circle.
        """
        tasks = self._tasks
        for key, (cost, lane) in new.items():
            tasks[key] = _Task(self._count, cost, self._ready.setdefault(lane, []))
            self._count += 1
        for parent, child in edges:
            tasks[parent].children.append(child)
            task = tasks[child]
            task.waits += 1
            task.state = _State.WAITING
        for key in reversed(self._parents_first(new)):
            task = tasks[key]
            behind = 0.0
            for child in task.children:
                behind = max(behind, tasks[child].path)
            task.path = task.cost + behind
            if not task.waits:
                self._offer(key, task)

    def _parents_first(self, new: Mapping[str, object]) -> list[str]:
        """New tasks, each after its new parents."""
        tasks = self._tasks
        waits = dict.fromkeys(new, 0)
        for key in new:
            for child in tasks[key].children:
                if child in waits:
                    waits[child] += 1
        order = [key for key, count in waits.items() if not count]
        for key in order:  # it grows meanwhile
            for child in tasks[key].children:
                if child in waits:
                    waits[child] -= 1
                    if not waits[child]:
                        order.append(child)
        if len(order) < len(waits):
            raise ValueError("tasks wait for one another in a circle")
        return order

    def take(self, has_room: Callable[[Lane], bool], now: float) -> str | None:
        """The ready task with the most expensive path, of the lanes that have room; None if there is none."""
        while self._postponed and self._postponed[0][0] <= now:
            _, _, key = heapq.heappop(self._postponed)
            if key in self._tasks and self._tasks[key].state is _State.POSTPONED:
                self._offer(key, self._tasks[key])
        best: list[Entry] | None = None
        for lane, heap in self._ready.items():
            while heap and not self._is_ready(heap[0][2]):
                heapq.heappop(heap)
            if heap and (best is None or heap[0] < best[0]) and has_room(lane):
                best = heap
        if best is None:
            return None
        _, _, key = heapq.heappop(best)
        self._tasks[key].state = _State.TAKEN
        return key

    def finish(self, key: str) -> None:
        """A task that was taken is done: it leaves the graph, and its children wait for one parent less."""
        for child in self._tasks.pop(key).children:
            task = self._tasks.get(child)
            if task is None:
                continue  # dropped, since another of its parents was
            task.waits -= 1
            if not task.waits:
                self._offer(child, task)

    def put_back(self, key: str, until: float | None = None) -> None:
        """A task that was taken is to be taken again, at once or from a time on."""
        task = self._tasks[key]
        if until is None:
            self._offer(key, task)
        else:
            task.state = _State.POSTPONED
            heapq.heappush(self._postponed, (until, task.number, key))

    def drop(self, key: str) -> list[str]:
        """Take a task and all that wait for it out of the graph; those that waited, in no order."""
        dropped, stack = [], self._tasks.pop(key).children
        while stack:
            child = stack.pop()
            if child in self._tasks:
                dropped.append(child)
                stack += self._tasks.pop(child).children
        return dropped

    def path(self, key: str) -> float:
        """The cost of the most expensive path from a task to an end, itself included."""
        return self._tasks[key].path

    def _offer(self, key: str, task: _Task) -> None:
        task.state = _State.READY
        heapq.heappush(task.heap, (-task.path, task.number, key))

    def _is_ready(self, key: str) -> bool:
        task = self._tasks.get(key)
        return task is not None and task.state is _State.READY
