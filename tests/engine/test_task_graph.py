from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.engine.task_graph import TaskGraph


@dataclass(frozen=True)
class Dag:
    parents: Mapping[str, frozenset[str]]
    """Parents before their children."""
    costs: Mapping[str, int]
    lanes: Mapping[str, str]


@st.composite
def dags(draw: st.DrawFn) -> Dag:
    keys = [f"task-{i}" for i in range(draw(st.integers(1, 25)))]
    parents = {}
    for index, key in enumerate(keys):
        parents[key] = frozenset(draw(st.sets(st.sampled_from(keys[:index]), max_size=4))) if index else frozenset()
    costs = {key: draw(st.integers(1, 9)) for key in keys}
    return Dag(parents, costs, {key: draw(st.sampled_from(["fast", "slow"])) for key in keys})


def graph_of(dag: Dag) -> TaskGraph[str]:
    graph: TaskGraph[str] = TaskGraph()
    new = {key: (float(dag.costs[key]), dag.lanes[key]) for key in dag.parents}
    graph.extend(new, [(parent, key) for key, parents in dag.parents.items() for parent in sorted(parents)])
    return graph


def paths(dag: Dag) -> dict[str, int]:
    """The cost of the most expensive path from each task, by trying them all."""
    children = {key: [child for child, parents in dag.parents.items() if key in parents] for key in dag.parents}

    def path(key: str) -> int:
        return dag.costs[key] + max((path(child) for child in children[key]), default=0)

    return {key: path(key) for key in dag.parents}


def below(dag: Dag, key: str) -> set[str]:
    found = {key}
    for child, parents in dag.parents.items():
        if parents & found:
            found.add(child)
    return found - {key}


def always(lane: str) -> bool:
    return True


@settings(deadline=None)
@given(dags(), st.data())
def test_every_task_is_taken_once_after_its_parents_the_most_expensive_path_first(
    dag: Dag, data: st.DataObject
) -> None:
    graph, ahead = graph_of(dag), paths(dag)
    taken: list[str] = []
    done: set[str] = set()
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
    done, failed, dropped = set(), set(), set[str]()
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
    done: set[str] = set()
    while (key := graph.take(lambda lane: lane != closed, 0.0)) is not None:
        assert dag.lanes[key] != closed
        graph.finish(key)
        done.add(key)
    could = set[str]()
    for key, parents in dag.parents.items():
        if dag.lanes[key] != closed and parents <= could:
            could.add(key)
    assert done == could


@settings(deadline=None)
@given(dags(), st.data())
def test_tasks_may_be_put_back_and_finished_ones_added_again(dag: Dag, data: st.DataObject) -> None:
    graph, ahead = graph_of(dag), paths(dag)
    children = {key: [c for c, parents in dag.parents.items() if key in parents] for key in dag.parents}
    done: set[str] = set()
    left = 12
    while (key := graph.take(always, 0.0)) is not None:
        assert dag.parents[key] <= done
        what = data.draw(st.sampled_from(["finish", "finish", "put back", "lose"])) if left else "finish"
        left -= what != "finish"
        if what == "put back":
            graph.put_back(key)
        elif what == "lose" and dag.parents[key]:
            # The outputs of some parents are gone: those are to be made again, and this waits for them.
            lost = data.draw(st.sets(st.sampled_from(sorted(dag.parents[key])), min_size=1))
            new = {p: (float(dag.costs[p]), dag.lanes[p]) for p in dag.parents if p in lost}
            inner = [(p, c) for p in new for c in children[p] if c in new]
            graph.extend(new, [*inner, *((p, key) for p in new)])
            done -= lost
            for parent in new:
                assert graph.path(parent) >= dag.costs[parent] + graph.path(key)
        else:
            graph.finish(key)
            done.add(key)
    assert done == set(dag.parents)
    assert max(ahead.values()) >= max(dag.costs.values())


def test_a_circle_is_an_error() -> None:
    graph: TaskGraph[str] = TaskGraph()
    with pytest.raises(ValueError, match="in a circle"):
        graph.extend({"a": (1.0, "fast"), "b": (1.0, "fast")}, [("a", "b"), ("b", "a")])


def test_a_task_that_was_put_off_comes_back_at_its_time() -> None:
    graph = graph_of(Dag({"a": frozenset(), "b": frozenset()}, {"a": 2, "b": 1}, {"a": "fast", "b": "fast"}))
    assert graph.take(always, 0.0) == "a"
    graph.put_back("a", 5.0)
    assert graph.take(always, 1.0) == "b"
    assert graph.take(always, 4.9) is None
    assert graph.take(always, 5.0) == "a"
    graph.finish("a")
    graph.finish("b")
    assert not len(graph)


def test_a_task_that_was_put_off_may_be_dropped() -> None:
    graph = graph_of(Dag({"a": frozenset(), "b": frozenset({"a"})}, {"a": 1, "b": 1}, {"a": "fast", "b": "fast"}))
    assert graph.take(always, 0.0) == "a"
    graph.put_back("a", 5.0)
    assert graph.drop("a") == ["b"]
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

    parents = {str(i): frozenset({str(i - 8)} if i >= 8 else ()) for i in range(count)}
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
