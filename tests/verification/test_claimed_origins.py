"""Forgeries of what is said of order, counts, days and places; and what an honest second run says of them."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from prunebench.api.provenance import Origin, RunCounts
from prunebench.api.results import Results
from prunebench.results.folder import read_results
from prunebench.results.merge import merged, origins_of
from prunebench.verification.audit.counts import other_counts
from prunebench.verification.audit.environments import id_of, made_in, other_environments
from prunebench.verification.audit.order import other_order
from prunebench.verification.audit.terms import other_terms
from prunebench.verification.audit.whole import contradicted
from prunebench.verification.comparison import compare
from prunebench.verification.rerun import planned

FAR = "2999-01-01"


@pytest.fixture(scope="module")
def honest(made: Path) -> Results:
    return read_results(made)


@pytest.fixture(scope="module")
def prepared(made: Path, honest: Results, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return planned(made.parent / "small.toml", honest.provenance, tmp_path_factory.mktemp("plan") / "store")


def told(results: Results, **fields: Any) -> Results:
    return replace(results, provenance=results.provenance.model_copy(update=fields))


def of_seeds(results: Results, *seeds: int) -> Results:
    """The results as a run of these seeds alone would give them."""
    share = len(seeds) / len(results.provenance.seeds)
    runs = results.provenance.runs
    counts = RunCounts(naive=round(runs.naive * share), distinct=round(runs.distinct * share), cached=0)
    provenance = results.provenance.model_copy(
        update={"seeds": seeds, "runs": counts, "steps": round(results.provenance.steps * share), "wall_seconds": 1.5}
    )
    rows = [row for row in results.rows if row.seed in seeds]
    details = [line for line in results.details if line.seed in seeds]
    return Results(results.name, rows, details, provenance)


@pytest.fixture(scope="module")
def together(honest: Results, prepared: Any) -> Results:
    return merged([of_seeds(honest, 2), of_seeds(honest, 0, 1)])


def shuffled(results: Results, trial: bool) -> Results:
    """Two lines of one ticket exchanged, or two trials."""
    rows = list(results.rows)
    if trial:
        first = rows[0].trial
        return replace(results, rows=[*(r for r in rows if r.trial != first), *(r for r in rows if r.trial == first)])
    rows[0], rows[1] = rows[1], rows[0]
    return replace(results, rows=rows)


def test_the_writers_order_is_no_finding(honest: Results, together: Results, prepared: Any) -> None:
    assert list(other_order(honest, prepared.plan)) == []
    plan = replace(prepared.plan, trials=tuple(reversed(prepared.plan.trials)))  # of merged results nothing rests on it
    assert list(other_order(together, plan)) == []


@pytest.mark.parametrize("trial", [False, True])
def test_another_order_is_another_writer(honest: Results, prepared: Any, trial: bool) -> None:
    (found,) = other_order(shuffled(honest, trial), prepared.plan)
    assert found.startswith("results.jsonl: lines in another order")
    turned = replace(honest, details=list(reversed(honest.details)))
    (found,) = other_order(turned, prepared.plan)
    assert found.startswith("details.jsonl: lines in another order")


def test_rows_that_only_a_second_run_orders(honest: Results) -> None:
    here = honest.provenance.environment
    assert compare(honest.rows, honest.rows, here, here, metric="test/accuracy").holds
    turned = compare(shuffled(honest, False).rows, honest.rows, here, here, metric="test/accuracy")
    assert not turned.holds
    assert "in 1 trials the rows stand in another order" in turned.verdict
    # A second run of other groups of cells gives the same trials one after another in another order.
    assert compare(honest.rows, shuffled(honest, True).rows, here, here, metric="test/accuracy").holds


def counted(results: Results, **fields: int) -> Results:
    return told(results, runs=results.provenance.runs.model_copy(update=fields))


@pytest.mark.parametrize(
    ("forge", "finding"),
    [
        (lambda r: told(r, finished=FAR), "a day in the future"),
        (lambda r: told(r, finished="soon"), "no day such as"),
        (lambda r: told(r, wall_seconds=-1.0), "no run takes -1 seconds"),
        (lambda r: told(r, wall_seconds=1e12), "no run takes 1e+12 seconds"),
        (lambda r: told(r, wall_seconds=0.0), "no wall time was taken"),
        (lambda r: counted(r, naive=1), "it counts 1 training runs"),
        (lambda r: counted(r, distinct=1), "1 of them distinct, and the file plans"),
        (lambda r: counted(r, cached=-1), "-1 of"),
        (lambda r: counted(r, cached=10**6), "cannot have been in the store before"),
        (lambda r: counted(r, cached=r.provenance.runs.distinct), "and no run that trained"),
        (lambda r: told(r, steps=10**12), "training examples, and the file plans"),
        (lambda r: told(r, steps=0), "it counts no training example"),
    ],
)
def test_counts_days_and_times_that_cannot_be(
    honest: Results, prepared: Any, forge: Callable[[Results], Results], finding: str
) -> None:
    assert list(other_counts(honest, prepared.plan)) == []
    assert any(finding in one for one in other_counts(forge(honest), prepared.plan))


def test_another_version_of_a_component_is_found(honest: Results, prepared: Any) -> None:
    components = dict(honest.provenance.components)
    components["magnitude"] = components["magnitude"].model_copy(update={"version": 7})
    found = list(other_terms(told(honest, components=components), prepared.benchmark, (0, 1, 2)))
    assert any('component "magnitude" has version' in one for one in found)


def test_results_that_were_laid_together_add_up(together: Results, prepared: Any) -> None:
    assert together.provenance.runs.distinct == len(prepared.plan.runs)
    again = merged([together, together])
    assert [origin.seeds for origin in again.provenance.merged] == [(2,), (0, 1), (2,), (0, 1)]
    assert sum("Merged from" in note for note in again.provenance.report.notes) == 1
    assert list(other_counts(together, prepared.plan)) == []
    found = list(contradicted(together, prepared, (0, 1, 2)))
    assert found == []


def origin(results: Results, **fields: Any) -> Origin:
    return origins_of(results.provenance)[0].model_copy(update=fields)


@pytest.mark.parametrize(
    ("change", "finding"),
    [
        ({"seeds": (2, 5)}, "the seeds of the origins do not make up seeds"),
        ({"entries": ("imp",)}, "pairs of entry and seed that no origin has"),
        ({"runs": RunCounts(naive=1, distinct=1)}, "it counts 1 training runs"),
        ({"wall_seconds": 99.0}, "wall_seconds is"),
        ({"steps": 1}, "steps is"),
        ({"finished": FAR}, "a day in the future"),
        ({"environment": {"torch": "9"}}, "environment is not that of the first origin"),
        ({"hardware": {"cpu": "Cray"}}, "hardware is not that of the first origin"),
    ],
)
def test_origins_that_do_not_make_up_the_whole(
    together: Results, prepared: Any, change: dict[str, Any], finding: str
) -> None:
    first, *others = together.provenance.merged
    forged = told(together, merged=(first.model_copy(update=change), *others))
    assert any(finding in one for one in other_counts(forged, prepared.plan))


def test_an_origin_that_says_little_is_found(honest: Results, prepared: Any) -> None:
    own = honest.provenance
    bare = Origin(finished=own.finished, hardware=own.hardware, environment=own.environment, seeds=own.seeds)
    found = list(other_counts(told(honest, merged=(bare,)), prepared.plan))
    assert any("it does not say entries, runs, steps, wall_seconds" in one for one in found)


def elsewhere(results: Results, entry: str) -> Results:
    """The rows of an entry as if they had been made in a second environment, which is described as it would be."""
    own = dict(results.provenance.environment)
    other = {**own, "torch": "9.9"}
    rows = [r.model_copy(update={"environments": (id_of(other),)}) if r.entry == entry else r for r in results.rows]
    return told(replace(results, rows=rows), environments={id_of(own): own, id_of(other): other})


def test_environments_are_described_and_named_where_they_are_others(honest: Results) -> None:
    own = honest.provenance.environment
    assert list(other_environments(elsewhere(honest, "imp"), own)) == []
    unknown = told(elsewhere(honest, "imp"), environments={})
    assert any("does not describe" in one for one in other_environments(unknown, own))
    rows = [row.model_copy(update={"environments": (id_of(own),)}) for row in honest.rows]
    named = replace(elsewhere(honest, "imp"), rows=rows)
    assert any("name the run's own environment" in one for one in other_environments(named, own))
    _, other = elsewhere(honest, "imp").provenance.environments.items()
    alone = told(elsewhere(honest, "imp"), environments=dict([other]))
    assert any("do not have the run's own" in one for one in other_environments(alone, own))


def test_bits_that_were_not_held_are_said_by_entry_and_the_others_are_held(honest: Results) -> None:
    claimed = elsewhere(honest, "imp")
    here, allowed = honest.provenance.environment, {"test/accuracy": 0.1}

    def held(rows: Any) -> Any:
        made = made_in(claimed.provenance)
        return compare(rows, honest.rows, here, here, metric="test/accuracy", allowed=allowed, made=made)

    found = held(claimed.rows)
    of = sum(row.entry == "imp" for row in claimed.rows)
    assert found.holds
    assert not found.same_environment
    assert "It holds in part bit for bit: " in found.verdict
    assert f'- entry "imp": {of:,} numbers' in found.verdict
    assert '- entry "random"' not in found.verdict
    assert "all " not in found.verdict.splitlines()[0].split("For the others")[0]
    assert found.to_json()["elsewhere"] == {"imp": of}
    moved = [
        row.model_copy(update={"value": row.value + 0.001}) if row.entry == "random" and row.value else row
        for row in claimed.rows
    ]
    assert "It does not hold: " in held(moved).verdict
