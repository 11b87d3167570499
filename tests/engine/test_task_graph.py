from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.engine.task_graph import TaskGraph


@dataclass(frozen=True)
class Dag:
    """Tasks by number."""

    parents: Mapping[int, frozenset[int]]
    costs: Mapping[int, int]
    lanes: Mapping[int, str]


@st.composite
def dags(draw: st.DrawFn) -> Dag:
    count = draw(st.integers(1, 25))
    # As they come in a plan, where children may have lower numbers than their parents.
    order = draw(st.permutations(range(count)))
    parents: dict[int, frozenset[int]] = {}
    for place, number in enumerate(order):
        parents[number] = frozenset(draw(st.sets(st.sampled_from(order[:place]), max_size=4))) if place else frozenset()
    costs = {number: draw(st.integers(1, 9)) for number in parents}
    return Dag(parents, costs, {number: draw(st.sampled_from(["fast", "slow"])) for number in parents})


def graph_of(dag: Dag) -> TaskGraph[str]:
    graph: TaskGraph[str] = TaskGraph()
    numbers = sorted(dag.parents)
    graph.extend(len(numbers), ((float(dag.costs[one]), dag.lanes[one], dag.parents[one]) for one in numbers))
    return graph


def paths(dag: Dag) -> dict[int, int]:
    """The cost of the most expensive path from each task, by trying them all."""
    children = {one: [child for child, parents in dag.parents.items() if one in parents] for one in dag.parents}

    def path(number: int) -> int:
        return dag.costs[number] + max((path(child) for child in children[number]), default=0)

    return {number: path(number) for number in dag.parents}


def below(dag: Dag, number: int) -> set[int]:
    found = {number}
    for child, parents in dag.parents.items():  # in which parents come before their children
        if parents & found:
            found.add(child)
    return found - {number}


def always(lane: str) -> bool:
    return True


@settings(deadline=None)
@given(dags(), st.data())
def test_every_task_is_taken_once_after_its_parents_the_most_expensive_path_first(
    dag: Dag, data: st.DataObject
) -> None:
    graph, ahead = graph_of(dag), paths(dag)
    taken: list[int] = []
    done: set[int] = set()
    while graph:
        ready = {key for key in dag.parents if key not in taken and dag.parents[key] <= done}
        key = graph.take(always, 0.0)
        if key is None:
            assert not ready
        else:
            assert key in ready
            assert ahead[key] == max(ahead[other] for other in ready) == graph.path(key)
            taken.append(key)
        running = [key for key in taken if key not in done]
        if running and (key is None or data.draw(st.booleans())):
            done.add(data.draw(st.sampled_from(running)))
            graph.finish(next(key for key in running if key in done))
    assert sorted(taken) == sorted(dag.parents)


@settings(deadline=None)
@given(dags(), st.data())
def test_whatever_fails_all_that_does_not_rest_on_it_is_done(dag: Dag, data: st.DataObject) -> None:
    graph = graph_of(dag)
    failing = data.draw(st.sets(st.sampled_from(sorted(dag.parents))))
    done, failed, dropped = set(), set(), set[int]()
    while (key := graph.take(always, 0.0)) is not None:
        if key in failing:
            failed.add(key)
            more = graph.drop(key)
            assert len(more) == len(set(more))
            assert not dropped & set(more)
            dropped.update(more)
        else:
            graph.finish(key)
            done.add(key)
    assert not len(graph)
    hit = {key for bad in failed for key in below(dag, bad)}
    assert dropped == hit
    assert done == set(dag.parents) - failed - hit


@settings(deadline=None)
@given(dags(), st.data())
def test_a_lane_without_room_holds_up_no_other(dag: Dag, data: st.DataObject) -> None:
    graph = graph_of(dag)
    closed = data.draw(st.sampled_from(["fast", "slow"]))
    done: set[int] = set()
    while (key := graph.take(lambda lane: lane != closed, 0.0)) is not None:
        assert dag.lanes[key] != closed
        graph.finish(key)
        done.add(key)
    could = set[int]()
    for key, parents in dag.parents.items():
        if dag.lanes[key] != closed and parents <= could:
            could.add(key)
    assert done == could


@settings(deadline=None)
@given(dags(), st.data())
def test_tasks_may_be_put_back_and_finished_ones_added_again(dag: Dag, data: st.DataObject) -> None:
    graph = graph_of(dag)
    done: set[int] = set()
    task_of = list(range(len(dag.parents)))
    """What each number of the graph stands for: one that is added again has a new number."""
    left = 12
    while (number := graph.take(always, 0.0)) is not None:
        task = task_of[number]
        assert dag.parents[task] <= done
        what = data.draw(st.sampled_from(["finish", "finish", "put back", "lose"])) if left else "finish"
        left -= what != "finish"
        if what == "put back":
            graph.put_back(number)
        elif what == "lose" and dag.parents[task]:
            # The outputs of some parents are gone: those are to be made again, and this waits for them.
            lost = sorted(data.draw(st.sets(st.sampled_from(sorted(dag.parents[task])), min_size=1)))
            done -= set(lost)
            new = {one: graph.added + place for place, one in enumerate(lost)}
            last = {one: place for place, one in enumerate(task_of)} | new
            again = [
                (float(dag.costs[one]), dag.lanes[one], [last[parent] for parent in dag.parents[one] - done])
                for one in lost
            ]
            graph.extend(len(lost), again, behind=graph.path(number))
            task_of += lost
            assert all(graph.path(new[one]) >= dag.costs[one] + graph.path(number) for one in lost)
            graph.wait(number, new.values())
        else:
            graph.finish(number)
            done.add(task)
    assert done == set(dag.parents)


def test_a_circle_is_an_error() -> None:
    graph: TaskGraph[str] = TaskGraph()
    with pytest.raises(ValueError, match="in a circle"):
        graph.extend(2, [(1.0, "fast", [1]), (1.0, "fast", [0])])


def test_a_task_that_was_put_off_comes_back_at_its_time() -> None:
    first, second = 0, 1
    graph = graph_of(Dag({first: frozenset(), second: frozenset()}, {first: 2, second: 1}, {first: "a", second: "a"}))
    assert graph.take(always, 0.0) == first
    graph.put_back(first, 5.0)
    assert graph.take(always, 1.0) == second
    assert graph.take(always, 4.9) is None
    assert graph.take(always, 5.0) == first
    graph.finish(first)
    graph.finish(second)
    assert not len(graph)


def test_a_task_that_was_put_off_may_be_dropped() -> None:
    first, child = 0, 1
    graph = graph_of(
        Dag({first: frozenset(), child: frozenset({first})}, {first: 1, child: 1}, {first: "a", child: "a"})
    )
    assert graph.take(always, 0.0) == first
    graph.put_back(first, 5.0)
    assert graph.drop(first) == [child]
    assert not len(graph)
    assert first not in graph
    assert graph.take(always, 6.0) is None


@pytest.mark.parametrize("count", [1_000, 16_000])
def test_the_work_grows_with_the_tasks_and_not_with_their_square(count: int) -> None:
    # Counted, not timed: the lines of the module that are executed, which no load of the machine changes.
    import sys

    from prunebench.engine import task_graph

    lines = 0

    def trace(frame: object, event: str, argument: object) -> object:
        nonlocal lines
        if frame.f_code.co_filename != task_graph.__file__:  # type: ignore[attr-defined]
            return None
        lines += event == "line"
        return trace

    parents = {i: frozenset({i - 8} if i >= 8 else ()) for i in range(count)}
    dag = Dag(parents, dict.fromkeys(parents, 1), dict.fromkeys(parents, "fast"))
    before = sys.gettrace()
    sys.settrace(trace)  # type: ignore[arg-type]
    try:
        graph = graph_of(dag)
        while (key := graph.take(always, 0.0)) is not None:
            graph.finish(key)
    finally:
        sys.settrace(before)
    assert lines < 60 * count
