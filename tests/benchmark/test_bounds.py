"""What is too much is refused in seconds, with the bound; what is large and sane is not."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from prunebench.api.errors import ConfigError
from prunebench.benchmark import bounds
from prunebench.benchmark.entries import Benchmark
from prunebench.benchmark.load import load, read
from prunebench.plan.compile import make_plan
from prunebench.testing import ToyProbe, toy_benchmark, toy_catalogue, toy_plan


def refused(*changes: Mapping[str, Any], **more: Any) -> str:
    with pytest.raises(ConfigError) as error:
        toy_benchmark(*changes, **more)
    (message,) = error.value.errors
    return message


def imp(**more: Any) -> Mapping[str, Any]:
    return {"entry": [{"name": "imp", **more}]}


def grid(**axes: int) -> Mapping[str, Any]:
    name = "-".join(f"{{{axis}}}" for axis in axes)
    lists = {axis: {f"train.optimizer.{axis}": list(range(length))} for axis, length in axes.items()}
    return {"entry": [{"name": name, "extends": "imp", "grid": lists}]}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seeds": list(range(1001))}, "seeds: the list has 1,001 values; at most 1,000 can be"),
        ({"seeds": [2**63]}, "seeds[0]: must be less than or equal to 9223372036854775807"),
        ({"rounds": 10**6}, "rounds: must be less than or equal to 1000, not 1000000"),
        (imp(draws=10**9), 'entry "imp": draws: must be less than or equal to 1000'),
        ({"densities": [i / 2000 for i in range(1, 1500)]}, "densities: the list has 1,499 values; at most 1,000"),
        ({"model": [{"use": "toy-net"}] * 101}, "model: the list has 101 values; at most 100 can be"),
        ({"execution": {"workers": 10**9}}, "execution.workers: must be less than or equal to 1024"),
        (grid(a=1000, b=1000, c=1000), 'entry "{a}-{b}-{c}": grid: it stands for 1,000,000,000 entries; at most 2,000'),
        (
            {"seeds": list(range(1000)), "rounds": 101},
            "the file asks for 102,000 judged tickets; at most 100,000 can be",
        ),
        (imp(name="x" * 201), "name: the text has"),
    ],
)
def test_what_is_too_much_is_refused_with_the_bound(change: Mapping[str, Any], message: str) -> None:
    if "name" in message:
        change = {"entry": [{"name": "x" * 201}]}
        message = f'entry "{"x" * 201}": name: '
    assert refused(change).startswith(message)


def test_a_file_has_a_bounded_number_of_entries() -> None:
    entries = [{"name": str(index)} for index in range(bounds.ENTRIES)]
    assert refused(entry=entries) == "entry: the file has more than 2,000 entries"


def test_a_grid_of_long_labels_or_of_braces_in_braces_is_refused() -> None:
    assert "is too long for a name" in refused(
        entry=[{"name": "{a}", "extends": "imp", "grid": {"a": {"train.x": ["y" * 201]}}}]
    )
    axes = {axis: {"train.x": [f"{{{below}}}" * 60]} for axis, below in zip("abcd", "bcde", strict=True)}
    assert "the braces make a text of more than 4,000 characters" in refused(
        entry=[{"name": "{a}{b}{c}{d}", "extends": "imp", "grid": axes}]
    )


@pytest.mark.parametrize("key", ["extends", "tickets"])
@pytest.mark.parametrize("down", [True, False])
def test_entries_lie_over_one_another_in_a_row_of_bounded_length(key: str, down: bool) -> None:
    def row(length: int) -> Mapping[str, Any]:
        entries = [{"name": f"e{i}", key: "imp" if i == 0 else f"e{i - 1}"} for i in range(length)]
        return {"entry": entries[:: -1 if down else 1]}

    assert len(toy_benchmark(row(bounds.CHAIN - 1)).entries) == 2 + bounds.CHAIN - 1
    assert len(toy_plan(row(bounds.CHAIN - 1)).trials) == 2 + bounds.CHAIN - 1
    assert refused(row(1500)) == f'entry "e{bounds.CHAIN - 1}": more than 32 entries refer to one another in a row'


def test_components_refer_in_a_row_of_bounded_length_too() -> None:
    names = ["imp", *(f"e{i}" for i in range(40))]
    entries = [
        {"name": name, "extends": "imp", "select": {"use": "match-lpr", "of": below}}
        for name, below in zip(names[1:], names, strict=False)
    ]
    assert "more than 32 entries refer to one another in a row" in refused(entry=entries)


@pytest.mark.parametrize(
    ("horizon", "message"),
    [
        ("1000000000000000000it", "is 1,000,000,000,000,000,000 iterations; at most 1,000,000,000 can be"),
        ("1000000000ep", 'horizon "1000000000ep" is 12,000,000,000 iterations; at most 1,000,000,000 can be'),
        ("0.001ep", 'horizon "0.001ep" rounds to no iteration, for an epoch has 12; train longer, or write "0it"'),
        ("0ep", 'horizon "0ep" rounds to no iteration'),
    ],
)
def test_a_horizon_has_at_least_one_iteration_and_not_a_billion(horizon: str, message: str) -> None:
    with pytest.raises(ConfigError) as error:
        make_plan(toy_benchmark(train={"horizon": horizon}), ToyProbe())
    assert message in str(error.value)


def test_a_horizon_that_is_written_as_zero_iterations_is_one() -> None:
    assert {e.run.stop for t in toy_plan(imp(evaluate={"horizon": "0it"})).trials for e in t.evaluations} == {0, 24}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cut": 1e-12}, "cut 1e-12 removes no unit of 66"),
        ({"measure": {"every": "0it"}}, 'measure.every: "0it" is no distance'),
        ({"measure": {"every": "0%"}}, 'measure.every: "0%" is no distance'),
        (imp(schedule={"use": "rewind", "to": "0.1%"}), 'position "0.1%" rounds to the first iteration of a run of 24'),
        (imp(schedule={"use": "rewind", "to": "0.01ep"}), 'position "0.01ep" rounds to the first iteration'),
    ],
)
def test_nothing_else_that_is_stated_rounds_to_nothing(changes: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as error:
        make_plan(toy_benchmark(changes), ToyProbe())
    assert message in str(error.value)


def test_a_position_has_a_bounded_number_of_digits() -> None:
    assert "is not a position" in refused(train={"horizon": "9" * 30 + "it"})


def large() -> Benchmark:
    axes = {"a": {"train.optimizer.lr": [(i + 1) / 100 for i in range(40)]}, "b": {"draws": list(range(1, 26))}}
    return toy_benchmark(entry=[{"name": "{a}-{b}", "extends": "imp", "grid": axes}], seeds=[0, 1])


def test_a_large_study_is_no_hostile_one() -> None:
    assert len(large().entries) == 1002


def test_a_file_with_an_error_in_every_entry_is_not_looked_through_to_its_end(tmp_path: Path) -> None:
    entries = "".join(f'[[entry]]\nname = "e{i}"\ntickets = "a{i}"\n' for i in range(1500))
    (tmp_path / "mine.toml").write_text(f"schema = 1\n{entries}")
    reading = read(tmp_path / "mine.toml", toy_catalogue())
    assert reading.benchmark is None
    assert len(reading.errors) <= bounds.ERRORS + 10
    assert reading.errors[-1].endswith("more was not looked for")
    with pytest.raises(ConfigError, match="more was not looked for"):
        load(tmp_path / "mine.toml", toy_catalogue())


def test_a_run_is_measured_at_a_bounded_number_of_places() -> None:
    long = {"horizon": "1000000000it"}
    with pytest.raises(ConfigError, match=r'measure.every: "1it" is 1,000,000,000 places .* at most 100,000 can be'):
        toy_plan({"train": long, "measure": {"every": "1it"}})
    assert toy_plan({"train": long, "measure": {"every": "10000it"}}).trials
