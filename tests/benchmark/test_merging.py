"""How tables are laid over one another, before anything is validated. The rules stand at the top of merging.py."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.api.errors import ConfigError
from prunebench.benchmark.grids import expand_grid
from prunebench.benchmark.merging import apply_setting, merge, normalise, normalise_entry, read_file
from prunebench.benchmark.toml import Printed

SGD = {"use": "sgd", "lr": 0.1, "momentum": 0.9}


def toml(text: str) -> dict[str, Any]:
    return normalise(tomllib.loads(text, parse_float=Printed))


def error(call: Any, *arguments: Any) -> str:
    with pytest.raises(ConfigError) as told:
        call(*arguments)
    (message,) = told.value.errors
    return message


# Shorthands.


def test_a_string_stands_for_the_table_of_a_component() -> None:
    table = toml("""
        data = "mnist5k"
        [model]
        name = "lenet_300_100"
        [train]
        optimizer = "adam"
        lr = ["constant", { use = "warmup", over = "1ep" }]
        loss = "gamma-l1"
        [execution]
        track = "jsonl"
        [report]
        also = ["slides"]
        [[entry]]
        name = "imp"
        score = "magnitude"
        ticket = "reinit"
        analyse = ["distances", { use = "planes" }]
        find.loss = "repulsion"
    """)
    assert table["data"] == [{"use": "mnist5k"}]
    assert table["model"] == [{"name": "lenet_300_100"}]
    assert table["train"]["optimizer"] == {"use": "adam"}
    assert table["train"]["lr"] == [{"use": "constant"}, {"use": "warmup", "over": "1ep"}]
    assert table["train"]["loss"] == [{"use": "gamma-l1"}]
    assert table["execution"]["track"] == [{"use": "jsonl"}]
    assert table["report"]["also"] == [{"use": "slides"}]
    assert table["entry"] == [
        {
            "name": "imp",
            "score": {"use": "magnitude"},
            "ticket": [{"use": "reinit"}],
            "analyse": [{"use": "distances"}, {"use": "planes"}],
            "find": {"loss": [{"use": "repulsion"}]},
        }
    ]


def test_quoted_keys_with_dots_are_nested_tables_wherever_keys_may_have_dots() -> None:
    assert normalise_entry({"name": "a", "find.optimizer.lr": 0.1, "find": {"batch": 8}}) == {
        "name": "a",
        "find": {"optimizer": {"lr": 0.1}, "batch": 8},
    }
    assert toml('[profile.smoke]\n"train.horizon" = "14ep"')["profile"]["smoke"]["train"] == {"horizon": "14ep"}


def test_a_key_below_a_value_is_an_error() -> None:
    assert error(normalise_entry, {"find": 3, "find.batch": 8}) == "find.batch: 'find' is a value, not a table"


def test_normalising_changes_nothing_twice_and_not_its_argument() -> None:
    raw = {"find": {"batch": 8}, "find.optimizer": "adam", "name": "a"}
    once = normalise_entry(raw)
    assert normalise_entry(once) == once
    assert raw == {"find": {"batch": 8}, "find.optimizer": "adam", "name": "a"}


def test_a_number_remembers_how_many_digits_the_file_prints() -> None:
    printed = tomllib.loads("d = [0.210, 1_0.50]", parse_float=Printed)["d"]
    assert [d.text for d in printed] == ["0.210", "10.50"]
    assert printed[0] == 0.21


# Merging.


def test_tables_merge_key_by_key_and_everything_else_is_replaced() -> None:
    base = {"train": {"batch": 128, "lr": [{"use": "constant"}]}, "seeds": [0, 1, 2], "claim": "old"}
    over = {"train": {"lr": [{"use": "cosine"}]}, "seeds": [5]}
    assert merge(base, over) == {"train": {"batch": 128, "lr": [{"use": "cosine"}]}, "seeds": [5], "claim": "old"}


def test_a_changed_use_replaces_its_table() -> None:
    adam = merge({"optimizer": SGD}, {"optimizer": {"use": "adam", "lr": 0.001}})
    assert adam == {"optimizer": {"use": "adam", "lr": 0.001}}


def test_an_equal_use_or_none_changes_only_the_stated_keys() -> None:
    for over in ({"lr": 0.2}, {"use": "sgd", "lr": 0.2}):
        assert merge({"optimizer": SGD}, {"optimizer": over}) == {"optimizer": {**SGD, "lr": 0.2}}


def test_a_string_is_a_table_before_it_is_laid_over_another() -> None:
    base = toml('[train]\noptimizer = { use = "sgd", lr = 0.1 }')
    assert merge(base, toml('[train]\noptimizer = "sgd"')) == base
    assert merge(base, toml('[train]\noptimizer = "adam"'))["train"] == {"optimizer": {"use": "adam"}}


def test_entries_merge_by_name_and_new_ones_come_last() -> None:
    base = {"entry": [{"name": "dense"}, {"name": "imp", "score": {"use": "magnitude"}}]}
    over = {"entry": [{"name": "new"}, {"name": "imp", "draws": 2}]}
    assert merge(base, over)["entry"] == [
        {"name": "dense"},
        {"name": "imp", "score": {"use": "magnitude"}, "draws": 2},
        {"name": "new"},
    ]


@pytest.mark.parametrize("stated", [{"cut": 0.5}, {"rounds": 3}, {"cut": 0.5, "rounds": 3}])
def test_a_layer_that_states_cut_or_rounds_judges_all_of_its_rounds(stated: dict[str, Any]) -> None:
    base = {"cut": 0.2, "rounds": 10, "densities": [0.5, 0.2]}
    assert merge(base, stated) == {"cut": 0.2, "rounds": 10, **stated}
    assert merge(base, {**stated, "densities": [0.5]})["densities"] == [0.5]
    # The same in a profile that is laid over a profile, and in an entry over an entry.
    assert "densities" not in merge({"profile": {"p": base}}, {"profile": {"p": stated}})["profile"]["p"]
    assert (
        "densities" not in merge({"entry": [{"name": "a", **base}]}, {"entry": [{"name": "a", **stated}]})["entry"][0]
    )


def test_cut_and_densities_mean_nothing_special_inside_of_a_component() -> None:
    base = {"select": {"use": "theirs", "densities": [0.5], "cut": 0.1}}
    assert merge(base, {"select": {"cut": 0.2}}) == {"select": {"use": "theirs", "densities": [0.5], "cut": 0.2}}


def test_a_single_model_merges_and_several_are_replaced() -> None:
    one = toml('[model]\nname = "lenet_300_100"\ninit = "xavier_normal"')
    several = toml('[[model]]\nname = "a"\n[[model]]\nname = "b"')
    assert merge(one, toml('[model]\nname = "conv2"'))["model"] == [{"name": "conv2", "init": "xavier_normal"}]
    assert merge(one, several)["model"] == [{"name": "a"}, {"name": "b"}]
    assert merge(one, toml('[model]\nuse = "hub"'))["model"] == [{"use": "hub"}]


def test_what_is_laid_over_a_value_of_another_type_replaces_it() -> None:
    assert merge({"model": [{"name": "a"}]}, {"model": [3]}) == {"model": [3]}
    assert merge({"train": 3}, {"train": {"batch": 8}}) == {"train": {"batch": 8}}


TABLES = st.recursive(
    st.integers(0, 3) | st.lists(st.integers(0, 3), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
    max_leaves=8,
)
ROOTS = st.dictionaries(st.sampled_from("abcd"), TABLES, max_size=4)


@settings(deadline=None)
@given(ROOTS)
def test_nothing_laid_over_a_table_or_a_table_over_nothing_is_that_table(table: dict[str, Any]) -> None:
    assert merge(table, {}) == table == merge({}, table) == merge(table, table)


@settings(deadline=None)
@given(ROOTS, ROOTS)
def test_what_the_upper_table_states_holds(base: dict[str, Any], over: dict[str, Any]) -> None:
    merged = merge(base, over)
    assert merge(merged, over) == merged
    assert set(merged) == set(base) | set(over)
    assert all(merged[key] == value for key, value in over.items() if not isinstance(value, dict))


@settings(deadline=None)
@given(ROOTS, ROOTS)
def test_merging_changes_neither_table(base: dict[str, Any], over: dict[str, Any]) -> None:
    before = repr((base, over))
    merge(base, over)
    assert repr((base, over)) == before


# Files that extend one another.


def write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name}.toml").write_text(text)
    return folder


def test_a_file_is_laid_over_the_file_that_it_extends_seen_from_its_folder(tmp_path: Path) -> None:
    (tmp_path / "deep").mkdir()
    write(tmp_path, base='seeds = [0]\n[train]\nbatch = 128\noptimizer = "adam"')
    write(tmp_path / "deep", mine='extends = "../base.toml"\n[train]\nbatch = 60')
    assert read_file(tmp_path / "deep" / "mine.toml") == {
        "seeds": [0],
        "train": {"batch": 60, "optimizer": {"use": "adam"}},
    }


def test_extending_goes_through_several_files(tmp_path: Path) -> None:
    write(tmp_path, a="x = 1\ny = 1\nz = 1", b='extends = "a.toml"\ny = 2\nz = 2', c='extends = "b.toml"\nz = 3')
    assert read_file(tmp_path / "c.toml") == {"x": 1, "y": 2, "z": 3}


def test_files_that_extend_one_another_in_a_circle_are_told_in_turn(tmp_path: Path) -> None:
    write(tmp_path, a='extends = "b.toml"', b='extends = "c.toml"', c='extends = "a.toml"')
    assert error(read_file, tmp_path / "a.toml") == (
        "extends: the files extend one another in a circle: a.toml -> b.toml -> c.toml -> a.toml"
    )


def test_a_missing_file_is_answered_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path, quickstart="", mine='extends = "quikstart.toml"')
    assert error(read_file, tmp_path / "quickstar.toml") == 'no such file. Did you mean "quickstart.toml"?'
    message = error(read_file, tmp_path / "mine.toml")
    assert message.startswith("extends: ")
    assert message.endswith('quikstart.toml: no such file. Did you mean "quickstart.toml"?')


@pytest.mark.parametrize("content", [b"seeds = [0", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_told_so_and_which_one_it_is(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.toml").write_bytes(content)
    write(tmp_path, mine='extends = "bad.toml"')
    assert error(read_file, tmp_path / "bad.toml").startswith("not a TOML file: ")
    assert "bad.toml: not a TOML file: " in error(read_file, tmp_path / "mine.toml")


def test_extends_needs_a_path(tmp_path: Path) -> None:
    write(tmp_path, mine="extends = 3")
    assert error(read_file, tmp_path / "mine.toml") == "extends: the path of another file is needed, not 3"


# Settings of the command line.

FILE = """
    seeds = [0]
    cut = 0.2
    rounds = 5
    densities = [0.5]
    data = { use = "mnist", valid = 5_000 }
    [model]
    name = "lenet_300_100"
    [train]
    optimizer = { use = "sgd", lr = 0.1, momentum = 0.9 }
    [[entry]]
    name = "imp"
    schedule = "rewind"
    [[entry]]
    name = "imp-0.05"
"""


@pytest.mark.parametrize(
    ("setting", "path", "value"),
    [
        ("train.optimizer.lr=0.5", ["train", "optimizer"], {"use": "sgd", "lr": 0.5, "momentum": 0.9}),
        ("train.optimizer=adam", ["train", "optimizer"], {"use": "adam"}),
        ('train.optimizer={ use = "adam", lr = 0.5 }', ["train", "optimizer"], {"use": "adam", "lr": 0.5}),
        ("train.horizon = 10ep", ["train", "horizon"], "10ep"),
        ("seeds=[3, 4]", ["seeds"], [3, 4]),
        ("data.valid=100", ["data", 0], {"use": "mnist", "valid": 100}),
        ("data=mnist5k", ["data", 0], {"use": "mnist5k"}),
        ("model.name=conv2", ["model", 0, "name"], "conv2"),
        ("entry.imp.schedule.to=8it", ["entry", 0, "schedule"], {"use": "rewind", "to": "8it"}),
        ("entry.imp.schedule=one-shot", ["entry", 0, "schedule"], {"use": "one-shot"}),
        ("entry.imp.find.batch=8", ["entry", 0, "find"], {"batch": 8}),
        ("entry.imp-0.05.draws=2", ["entry", 1], {"name": "imp-0.05", "draws": 2}),
        ("measure.every=5it", ["measure", "every"], "5it"),
    ],
)
def test_a_setting_changes_one_key_as_the_file_would(setting: str, path: list[Any], value: Any) -> None:
    table: Any = apply_setting(toml(FILE), setting)
    for key in path:
        table = table[key]
    assert table == value


def test_a_setting_of_rounds_judges_all_of_them() -> None:
    assert "densities" not in apply_setting(toml(FILE), "rounds=2")


def test_a_setting_prints_its_densities_as_it_was_written() -> None:
    assert apply_setting(toml(FILE), "densities=[0.210]")["densities"][0].text == "0.210"


def test_a_setting_without_a_value_is_told_what_to_write() -> None:
    assert error(apply_setting, toml(FILE), "seeds") == "--set seeds: write KEY=VALUE"


def test_a_setting_of_an_unknown_entry_is_answered_with_the_nearest() -> None:
    assert error(apply_setting, toml(FILE), "entry.ipm.draws=2") == (
        '--set entry.ipm.draws=2: no entry "ipm". Did you mean "imp"?'
    )


# Grids.


def grid(name: str, **axes: Any) -> list[dict[str, Any]]:
    return expand_grid(normalise_entry({"name": name, "extends": "imp", "grid": axes}))


def test_a_grid_is_the_product_of_its_axes() -> None:
    entries = grid("lr-{f}-{e}", f={"find.optimizer.lr": [0.1, 0.2]}, e={"evaluate.optimizer.lr": [0.1, 0.2]})
    assert [entry["name"] for entry in entries] == ["lr-0.1-0.1", "lr-0.1-0.2", "lr-0.2-0.1", "lr-0.2-0.2"]
    assert entries[1] == {
        "name": "lr-0.1-0.2",
        "extends": "imp",
        "find": {"optimizer": {"lr": 0.1}},
        "evaluate": {"optimizer": {"lr": 0.2}},
    }


def test_the_keys_of_one_axis_change_in_step_and_the_first_one_names_it() -> None:
    entries = grid("b{b}", b={"train.batch": [60, 120], "train.optimizer.lr": [0.1, 0.2]})
    assert [(e["name"], e["train"]["batch"], e["train"]["optimizer"]["lr"]) for e in entries] == [
        ("b60", 60, 0.1),
        ("b120", 120, 0.2),
    ]


def test_components_of_an_axis_are_named_by_what_they_use() -> None:
    entries = grid("{s}-{l}", s={"score": ["magnitude", {"use": "random"}]}, l={"loss": [["a", "b"]]})
    assert [entry["name"] for entry in entries] == ["magnitude-a+b", "random-a+b"]
    assert entries[1]["score"] == {"use": "random"}
    assert entries[1]["loss"] == [{"use": "a"}, {"use": "b"}]


def test_a_number_names_an_entry_as_the_file_prints_it() -> None:
    table = toml("""
        [[entry]]
        name = "lr-{f}"
        [entry.grid]
        f = { "train.optimizer.lr" = [0.10, 1e-3] }
    """)
    assert [entry["name"] for entry in expand_grid(table["entry"][0])] == ["lr-0.10", "lr-1e-3"]


def test_an_axis_may_be_named_anywhere_in_its_entry() -> None:
    table = {"name": "shuffled-{f}", "tickets": "lr-{f}", "ticket": ["shuffle"], "grid": {"f": {"draws": [1, 2]}}}
    assert [entry["tickets"] for entry in expand_grid(normalise_entry(table))] == ["lr-1", "lr-2"]


def test_an_entry_without_a_grid_is_itself() -> None:
    assert expand_grid({"name": "imp"}) == [{"name": "imp"}]


@pytest.mark.parametrize(
    ("name", "axes", "message"),
    [
        ("a", {}, "grid: write one axis a line"),
        ("a-{f}", {"f": [1, 2]}, "grid.f: an axis is a table of keys and lists"),
        ("a-{f}", {"f": {"train.batch": 60}}, "grid.f: an axis is a table of keys and lists"),
        ("a-{f}", {"f": {"train.batch": []}}, "grid.f: an axis is a table of keys and lists"),
        ("a-{f}", {"f": {"x": [1, 2], "y": [1]}}, "grid.f: the keys of one axis change together"),
        ("a", {"f": {"train.batch": [60, 120]}}, 'grid.f: the name must hold "{f}", or two entries would share it'),
    ],
)
def test_a_wrong_grid_is_told_with_its_axis(name: str, axes: dict[str, Any], message: str) -> None:
    assert error(lambda: grid(name, **axes)).startswith(message)
