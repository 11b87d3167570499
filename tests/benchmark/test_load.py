"""From a benchmark file to its entries; and every way in which a file can be wrong, as a person is told of it."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from prunebench import Component, ComponentConfig, EntryRef, hookimpl
from prunebench.api.errors import ConfigError
from prunebench.benchmark.densities import Density
from prunebench.benchmark.entries import Benchmark, Entry
from prunebench.benchmark.load import load
from prunebench.benchmark.toml import Printed
from prunebench.components.catalogue import Catalogue
from prunebench.testing import toy_benchmark, toy_catalogue

FILE = """
schema = 1
claim = "A claim"
seeds = [0, 1]
cut = 0.2
rounds = 4
densities = [0.80, 0.51]

[data]
use = "toy-data"

[model]
use = "toy-net"

[train]
horizon = "24it"
batch = 8
optimizer = { use = "sgd", lr = 0.1, momentum = 0.9 }

[measure]
every = "8it"

[[entry]]
name = "dense"
units = "toy-units"

[[entry]]
name = "imp"
schedule = "rewind"
score = "magnitude"
select = "global"
units = "toy-units"

[report]
against = "imp"
"""


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "mine.toml"


def loaded(file: Path, more: str = "", text: str = FILE, **options: Any) -> Benchmark:
    """The benchmark of a file; `more` is written at its end."""
    file.write_text(text + more)
    return load(file, options.pop("catalogue", None) or toy_catalogue(), **options)


def errors(file: Path, more: str = "", text: str = FILE, **options: Any) -> Sequence[str]:
    """What is said of a file that is wrong, without the file's name, which begins each line."""
    with pytest.raises(ConfigError) as told:
        loaded(file, more, text, **options)
    assert all(error.startswith("mine.toml: ") for error in told.value.errors)
    return [error.removeprefix("mine.toml: ") for error in told.value.errors]


def entry(benchmark: Benchmark, name: str) -> Entry:
    return benchmark.all_entries[name]


# A file that is right.


def test_a_file_becomes_entries_with_every_component_resolved(mine: Path) -> None:
    benchmark = loaded(mine)
    assert (benchmark.name, benchmark.claim, benchmark.seeds) == ("mine", "A claim", (0, 1))
    assert [e.name for e in benchmark.entries] == ["dense", "imp"]
    imp = entry(benchmark, "imp")
    assert [str(use) for use in (imp.schedule, imp.score, imp.select)] == [
        f"{name} ({toy_catalogue().find(name).distribution})" for name in ("rewind", "magnitude", "global")
    ]
    assert (imp.cut, imp.rounds, imp.draws) == (0.2, 4, 1)
    assert [str(density) for density in imp.densities or ()] == ["0.80", "0.51"]
    assert [use.name for use in imp.find.lr] == ["constant"]


def test_an_entry_without_a_schedule_is_dense(mine: Path) -> None:
    dense = entry(loaded(mine), "dense")
    assert (dense.schedule, dense.cut, dense.rounds, dense.densities) == (None, None, 0, None)


def test_a_recipe_is_laid_over_train_from_the_outside_in(mine: Path) -> None:
    text = FILE.replace("[measure]", "[find]\nbatch = 16\nlabel_smoothing = 0.1\n\n[measure]")
    more = """
    [[entry]]
    name = "own"
    extends = "imp"
    loss = "toy-loss"
    train.max_gradient_norm = 1.0
    find.label_smoothing = 0.2
    evaluate.optimizer.lr = 0.5
    """
    own = entry(loaded(mine, more, text, catalogue=WITH_MORE), "own")
    assert (own.find.batch, own.evaluate.batch) == (16, 8)
    assert (own.find.label_smoothing, own.evaluate.label_smoothing) == (0.2, 0.0)
    assert own.find.max_gradient_norm == own.evaluate.max_gradient_norm == 1.0
    assert [r.optimizer.to_json()["config"]["lr"] for r in (own.find, own.evaluate)] == [0.1, 0.5]
    assert [[use.name for use in r.loss] for r in (own.find, own.evaluate)] == [["toy-loss"]] * 2


def test_a_loss_of_an_entry_is_in_both_recipes_unless_one_states_its_own(mine: Path) -> None:
    more = """
    [[entry]]
    name = "own"
    extends = "imp"
    loss = "toy-loss"
    find.loss = [{ use = "toy-loss", strength = 2 }]
    """
    own = entry(loaded(mine, more, catalogue=WITH_MORE), "own")
    assert [r.loss[0].to_json()["config"]["strength"] for r in (own.find, own.evaluate)] == [2.0, 1.0]


def test_an_entry_of_its_own_cut_or_rounds_judges_all_of_them(mine: Path) -> None:
    benchmark = loaded(mine, '[[entry]]\nname = "more"\nextends = "imp"\nrounds = 6\n')
    assert (entry(benchmark, "more").rounds, entry(benchmark, "more").densities) == (6, None)
    assert entry(benchmark, "more").cut == 0.2


def test_an_entry_of_its_own_densities_keeps_the_chain(mine: Path) -> None:
    own = entry(loaded(mine, '[[entry]]\nname = "own"\nextends = "imp"\ndensities = [0.64]\n'), "own")
    assert ([str(d) for d in own.densities or ()], own.cut, own.rounds) == (["0.64"], 0.2, 4)


def test_tickets_of_another_entry_come_with_all_that_it_states_but_its_edits_and_analyses(mine: Path) -> None:
    more = """
    [[entry]]
    name = "source"
    extends = "imp"
    ticket = "shuffle-within-layer"
    analyse = "layer-densities"
    rounds = 3
    find.batch = 16
    evaluate.batch = 4
    [[entry]]
    name = "control"
    tickets = "source"
    ticket = "reinit"
    evaluate.label_smoothing = 0.1
    """
    benchmark = loaded(mine, more)
    source, control = entry(benchmark, "source"), entry(benchmark, "control")
    assert (control.schedule, control.score, control.select) == (source.schedule, source.score, source.select)
    assert control.find is source.find
    assert (control.evaluate.batch, control.evaluate.label_smoothing) == (4, 0.1)
    assert [use.name for use in control.edits] == ["reinit"]
    assert control.analyses == ()
    assert (control.cut, control.rounds) == (source.cut, source.rounds)


def test_tickets_may_go_through_several_entries(mine: Path) -> None:
    more = """
    [[entry]]
    name = "b"
    tickets = "imp"
    ticket = "reinit"
    [[entry]]
    name = "c"
    tickets = "b"
    """
    benchmark = loaded(mine, more)
    assert entry(benchmark, "c").find is entry(benchmark, "imp").find
    assert entry(benchmark, "c").edits == ()


def test_a_grid_with_nine_entries_has_three_find_recipes(mine: Path) -> None:
    more = """
    [[entry]]
    name = "lr-{f}-{e}"
    extends = "imp"
    [entry.grid]
    f = { "find.optimizer.lr" = [0.05, 0.2, 0.50] }
    e = { "evaluate.optimizer.lr" = [0.05, 0.2, 0.50] }
    """
    benchmark = loaded(mine, more)
    made = [e for e in benchmark.entries if e.name.startswith("lr-")]
    assert [e.name for e in made][:4] == ["lr-0.05-0.05", "lr-0.05-0.2", "lr-0.05-0.50", "lr-0.2-0.05"]
    assert len({str(e.find.optimizer.to_json()) for e in made}) == 3
    assert len({str((e.find.optimizer.to_json(), e.evaluate.optimizer.to_json())) for e in made}) == 9


def test_several_models_and_data_sets_are_told_apart_by_their_labels(mine: Path) -> None:
    text = FILE.replace(
        '[model]\nuse = "toy-net"', '[[model]]\nuse = "toy-net"\n[[model]]\nuse = "toy-net"\nlabel = "b"'
    )
    assert [chosen.label for chosen in entry(loaded(mine, text=text), "imp").models] == ["toy-net", "b"]


def test_a_model_is_one_of_timms_unless_it_says_otherwise(mine: Path) -> None:
    text = FILE.replace('use = "toy-net"', 'name = "lenet_300_100"\ninit = "xavier_normal"')
    (model,) = entry(loaded(mine, text=text), "imp").models
    assert (model.label, model.use.name) == ("lenet_300_100", "timm")
    assert model.init is not None
    assert model.init.name == "xavier_normal"


def test_the_components_that_are_active_are_those_that_the_chosen_entries_name(mine: Path) -> None:
    assert "magnitude" in loaded(mine).uses()
    assert "magnitude" not in loaded(mine, only=["dense"]).uses()


# Profiles and the command line.

SMOKE = """
[profile.smoke]
claim = "smaller"
seeds = [7]
rounds = 2
entries = ["dense"]
train.horizon = "12it"
train.optimizer.lr = 0.5
[[profile.smoke.entry]]
name = "imp"
schedule = { use = "rewind", to = "3it" }
"""


def test_a_profile_is_laid_over_the_file(mine: Path) -> None:
    benchmark = loaded(mine, SMOKE, profile="smoke")
    assert (benchmark.profile, benchmark.claim, benchmark.seeds) == ("smoke", "smaller", (7,))
    assert [e.name for e in benchmark.entries] == ["dense"]
    imp = entry(benchmark, "imp")  # not scored, but there for others
    assert (imp.rounds, imp.densities) == (2, None)
    assert str(imp.find.horizon) == "12it"
    assert imp.find.optimizer.to_json()["config"]["lr"] == 0.5
    assert imp.find.optimizer.to_json()["config"]["momentum"] == 0.9
    assert imp.schedule is not None
    assert imp.schedule.to_json()["config"]["to"] == "3it"


def test_a_profile_changes_nothing_until_it_is_asked_for(mine: Path) -> None:
    assert loaded(mine, SMOKE).seeds == loaded(mine).seeds == (0, 1)


def test_the_command_line_goes_over_the_profile(mine: Path) -> None:
    settings = ["train.batch=4", "entry.imp.draws=3", "rounds=3"]
    benchmark = loaded(mine, SMOKE, profile="smoke", seeds=[1, 2], settings=settings)
    assert benchmark.seeds == (1, 2)
    imp = entry(benchmark, "imp")
    assert (imp.find.batch, imp.draws, imp.rounds) == (4, 3, 3)


def test_only_chooses_among_the_entries_in_the_order_of_the_file(mine: Path) -> None:
    more = '[[entry]]\nname = "c"\nextends = "imp"\n'
    assert [e.name for e in loaded(mine, more, only=["c", "dense"]).entries] == ["dense", "c"]


def test_a_file_may_extend_another_and_change_an_entry_of_it(mine: Path) -> None:
    (mine.parent / "base.toml").write_text(FILE)
    more = 'extends = "base.toml"\nseeds = [3]\n[[entry]]\nname = "imp"\nselect = "layerwise"\n'
    benchmark = loaded(mine, more, text="")
    imp = entry(benchmark, "imp")
    assert [e.name for e in benchmark.entries] == ["dense", "imp"]
    assert benchmark.seeds == (3,)
    assert imp.select is not None
    assert imp.select.name == "layerwise"


def expected(mine: Path, stated: str) -> str:
    return one(mine, f'[[expect]]\nsource = "s"\nclaim = "c"\nbetter = "imp"\n{stated}\n')


def test_an_expectation_may_state_only_what_differs(mine: Path) -> None:
    text = FILE.replace('every = "8it"', 'at = ["0it"]')
    more = '[[expect]]\nsource = "s"\nclaim = "c"\nbetter = "imp"\nthan = { position = "start" }\n'
    (expect,) = loaded(mine, more, text).expect
    assert expect.worse == "imp"
    assert expect.sides() == [("metric", "imp", "test/accuracy", None), ("metric", "imp", "test/accuracy", "start")]
    assert loaded(mine, more, text, only=["dense"]).expect == ()


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        ("", "expect[0]: worse: missing; name an entry, or say with `than` what differs"),
        ('worse = "imp"', 'expect[0]: "imp" is compared with itself; say with `than` what differs'),
        ("than = {}", "expect[0].than: state what differs: metric, density, round, position, or a fixed value"),
        (
            "than = { value = 1.0, round = 2 }",
            "expect[0].than: a fixed value has no metric, density, round or position",
        ),
        (
            'worse = "dense"\nthan = { value = 1.0 }',
            'expect[0]: worse: "dense" and a fixed value; leave one of the two out',
        ),
        ('worse = "dense"\ndensity = 0.8\nround = 1', "expect[0]: density and round: state one of the two"),
        ("than = { densty = 0.8 }", 'expect[0].than.densty: unknown key. Did you mean "density"?'),
    ],
)
def test_an_expectation_has_two_sides(mine: Path, stated: str, said: str) -> None:
    assert expected(mine, stated) == said


@pytest.mark.parametrize(
    ("stated", "said"),
    [
        (
            'metric = "movement/ratio"\nthan = { value = 1.0 }',
            'expect[0].metric: "movement/ratio": entry "imp" does not analyse "movement". Otherwise write SPLIT/METRIC',
        ),
        (
            'than = { metric = "test/acuracy" }',
            'expect[0].than.metric: "test/acuracy": no such metric. Did you mean "accuracy"?',
        ),
        (
            'worse = "dense"\nmetric = "test/early_stop_iteration"',
            'expect[0].metric: "test/early_stop_iteration": it is of the validation loss; write '
            "valid/early_stop_iteration",
        ),
        (
            'than = { position = "3it" }',
            'expect[0].metric: position "3it" is not a row of the results; add "3it" to measure.at',
        ),
        (
            'than = { position = "start" }',
            'expect[0].metric: position "start" is not a row of the results; add "0it" to measure.at',
        ),
        (
            'than = { position = "2ep" }',
            'expect[0].metric: position "2ep": the results have iterations; write it in them, as in "500it"',
        ),
    ],
)
def test_an_expectation_of_what_will_not_be_measured_is_an_error(mine: Path, stated: str, said: str) -> None:
    assert expected(mine, stated) == said


def test_every_metric_that_will_be_measured_may_be_expected(mine: Path) -> None:
    for metric in (
        *("test/accuracy", "train/loss", "valid/early_stop_iteration", "train/early_stop_accuracy"),
        *("smallest_matching_density", "valid/early_stop_accuracy/smallest_matching_density"),
    ):
        stated = f'[[expect]]\nsource = "s"\nclaim = "c"\nbetter = "imp"\nworse = "dense"\nmetric = "{metric}"\n'
        assert loaded(mine, stated).expect[0].metric == metric
    with pytest.raises(ConfigError, match=r'smallest_matching_density" is not measured; it needs measure\.every'):
        loaded(mine, stated, FILE.replace('every = "8it"', ""))


def test_a_report_that_names_an_unknown_entry_is_an_error(mine: Path) -> None:
    text = FILE + 'also = { use = "training-curves", entries = ["ipm"] }\n'
    with pytest.raises(ConfigError) as raised:
        loaded(mine, "", text)
    assert raised.value.errors == (
        'mine.toml: report.also: component "training-curves": entries: no entry "ipm". Did you mean "imp"?',
    )


def test_expectations_of_entries_that_are_not_scored_wait(mine: Path) -> None:
    more = '[[expect]]\nsource = "s"\nclaim = "c"\nbetter = "imp"\nworse = "dense"\n'
    assert len(loaded(mine, more).expect) == 1
    assert loaded(mine, more, only=["imp"]).expect == ()


# What is wrong with a file.


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("seeds = [0, 1]", "sedes = [0, 1]\nseeds = [0]", 'sedes: unknown key. Did you mean "seeds"?'),
        ("schema = 1", "", "schema: missing"),
        ("schema = 1", "schema = 2", "schema: must be 1, not 2"),
        ("seeds = [0, 1]", "seeds = []", "seeds: the list is empty"),
        ("seeds = [0, 1]", "seeds = 3", "seeds: must be a list, not 3"),
        ("seeds = [0, 1]", 'seeds = [0, "a"]', "seeds[1]: must be a whole number, not 'a'"),
        ("seeds = [0, 1]", "seeds = [1, 1]", "seeds: seed 1 is given twice; n counts seeds, so each must be distinct"),
        ("batch = 8", "bacth = 8\nbatch = 8", 'train.bacth: unknown key. Did you mean "batch"?'),
        ("batch = 8", "batch = -8", "train.batch: must be greater than 0, not -8"),
        ("batch = 8", "batch = 0", "train.batch: must be greater than 0"),
        ("batch = 8", "", "train.batch: missing"),
        (
            'horizon = "24it"',
            "horizon = 24",
            'train.horizon: 24 is not a position: write iterations "500it", epochs "2ep" or a share of the horizon '
            '"2%"',
        ),
        (
            'horizon = "24it"',
            'horizon = "50%"',
            'train.horizon: "50%" would be a share of itself: write iterations or epochs',
        ),
        (
            "momentum = 0.9",
            "momentun = 0.9",
            'train.optimizer.momentun: unknown key (component "sgd"). Did you mean "momentum"?',
        ),
        (
            'use = "sgd"',
            'use = "sdg"',
            'train.optimizer.use: no component "sdg". Did you mean "sgd"? '
            "`prunebench plugins` lists what is installed.",
        ),
        (
            '{ use = "sgd", lr = 0.1, momentum = 0.9 }',
            '{ use = "sgd" }',
            'train.optimizer.lr: missing (component "sgd")',
        ),
        ('{ use = "sgd", lr = 0.1, momentum = 0.9 }', "3", "train.optimizer: must be a table, not 3"),
        ('every = "8it"', 'evry = "8it"', 'measure.evry: unknown key. Did you mean "every"?'),
        ('against = "imp"', 'against = "ipm"', 'report.against: no entry "ipm". Did you mean "imp"?'),
        (
            'against = "imp"',
            'metric = "accuracy"',
            'report.metric: write SPLIT/METRIC, such as "test/loss" or "valid/early_stop_iteration", not \'accuracy\'',
        ),
        (
            'every = "8it"',
            'splits = ["train"]',
            'report.metric: "test/accuracy" is not measured; add "test" to measure.splits',
        ),
        ("cut = 0.2", "cut = 1.5", "cut: must be less than 1, not 1.5"),
        ("cut = 0.2", "", 'entry "imp": cut: missing; what share of the survivors does a round remove?'),
        ("rounds = 4", "", 'entry "imp": rounds: missing; how many times is 0.2 cut?'),
        (
            "rounds = 4\ndensities = [0.80, 0.51]",
            "rounds = 0",
            'entry "imp": rounds: after 0 rounds there is no ticket to judge',
        ),
        ("0.80, 0.51", "0.0", "densities[0]: 0.0 is not a density: a fraction kept, above 0 and at most 1"),
        ("0.80, 0.51", "1.1", "densities[0]: 1.1 is not a density: a fraction kept, above 0 and at most 1"),
        ("0.80, 0.51", "-0.5", "densities[0]: -0.5 is not a density: a fraction kept, above 0 and at most 1"),
        ("0.80, 0.51", '"half"', "densities[0]: 'half' is not a density: a fraction kept, above 0 and at most 1"),
        ("0.80, 0.51", "0.8, 0.80", "densities: a density is given twice"),
        ("0.80, 0.51", "", "densities: the list is empty; leave it out to evaluate every round"),
        (
            'score = "magnitude"',
            'scroe = "magnitude"\nscore = "magnitude"',
            'entry "imp": scroe: unknown key. Did you mean "score"?',
        ),
        (
            'score = "magnitude"',
            'score = "magnitud"',
            'entry "imp": score.use: no component "magnitud". Did you mean "magnitude"? '
            "`prunebench plugins` lists what is installed.",
        ),
        (
            'score = "magnitude"',
            'score = { use = "magnitude", normalise = "l3" }',
            "entry \"imp\": score.normalise: must be 'none', 'l2' or 'mean', not 'l3' (component \"magnitude\")",
        ),
        (
            'score = "magnitude"',
            "",
            'entry "imp": score: missing; a schedule prunes, so it needs a score and a select, or a prune',
        ),
        ('score = "magnitude"', "score = 3", 'entry "imp": score: must be a table, not 3'),
        ('name = "dense"', "", "entry 1: name: missing"),
        ('name = "dense"', 'name = "imp"', 'entry "imp": the name is given twice'),
        ('[[entry]]\nname = "dense"', '[[entry]]\nname = "imp"', 'entry "imp": the name is given twice'),
        (
            "momentum = 0.9",
            "nesterov = true",
            'train.optimizer: nesterov needs a momentum above 0 and no dampening (component "sgd")',
        ),
        ("batch = 8", 'batch = 8\nstop = "101%"', 'train.stop: "101%" is past the horizon'),
    ],
)
def test_a_wrong_key_is_told_by_its_name_with_what_to_write(mine: Path, old: str, new: str, message: str) -> None:
    assert FILE.count(old) >= 1
    assert errors(mine, text=FILE.replace(old, new, 1)) == [message]


def one(file: Path, more: str, **options: Any) -> str:
    (message,) = errors(file, more, **options)
    return message


def test_a_schedule_that_is_missing_is_no_dense_entry(mine: Path) -> None:
    assert one(mine, '[[entry]]\nname = "a"\nscore = "magnitude"\n') == (
        'entry "a": schedule: missing; without one the entry is dense and its score is idle'
    )


def test_an_unknown_entry_is_answered_with_the_nearest(mine: Path) -> None:
    assert one(mine, '[[entry]]\nname = "a"\nextends = "ipm"\n') == (
        'entry "a": extends: no entry "ipm". Did you mean "imp"?'
    )
    assert one(mine, '[[entry]]\nname = "a"\ntickets = "ipm"\n') == (
        'entry "a": tickets: no entry "ipm". Did you mean "imp"?'
    )
    assert one(mine, '[[entry]]\nname = "a"\nextends = "imp"\ntickets = "ipm"\n') == (
        'entry "a": tickets: no entry "ipm". Did you mean "imp"?'
    )
    assert one(mine, "", only=["ipm"]) == '--only: no entry "ipm". Did you mean "imp"?'
    held = '[[expect]]\nsource = "s"\nclaim = "c"\nbetter = "imp"\nworse = "dense"\n'
    assert one(mine, held, only=["ipm"]) == '--only: no entry "ipm". Did you mean "imp"?'
    assert one(mine, '[profile.p]\nentries = ["ipm"]\n', profile="p") == (
        'entries: no entry "ipm". Did you mean "imp"?'
    )
    assert one(mine, '[[expect]]\nsource = "s"\nclaim = "c"\nbetter = "ipm"\nworse = "dense"\n') == (
        'expect[0].better: no entry "ipm". Did you mean "imp"?'
    )


def test_an_unknown_profile_is_answered_with_the_nearest(mine: Path) -> None:
    assert one(mine, SMOKE, profile="smok") == 'no profile "smok". Did you mean "smoke"?'
    assert one(mine, "", profile="smoke") == 'no profile "smoke". The file has no profiles.'
    assert one(mine, "[profile]\nsmoke = 3\n", profile="smoke") == "profile.smoke: must be a table, not 3"


def test_an_unknown_key_of_a_profile_is_told_as_one_of_the_file(mine: Path) -> None:
    assert one(mine, "[profile.p]\nrouns = 2\n", profile="p") == "rounds: unknown key.".replace("rounds", "rouns") + (
        ' Did you mean "rounds"?'
    )


@pytest.mark.parametrize(
    ("more", "circle"),
    [
        ('[[entry]]\nname = "a"\nextends = "a"\n', 'entry "a": the entries refer to one another in a circle: a -> a'),
        (
            '[[entry]]\nname = "a"\nextends = "b"\n[[entry]]\nname = "b"\ntickets = "c"\n'
            '[[entry]]\nname = "c"\nextends = "a"\n',
            'entry "a": the entries refer to one another in a circle: a -> b -> c -> a',
        ),
        (
            '[[entry]]\nname = "a"\nextends = "imp"\ntickets = "b"\n'
            '[[entry]]\nname = "b"\nextends = "imp"\ntickets = "a"\n',
            'entry "a": the entries refer to one another in a circle: a -> b -> a',
        ),
    ],
)
def test_entries_that_refer_to_one_another_in_a_circle_are_told_in_turn_and_once(
    mine: Path, more: str, circle: str
) -> None:
    assert errors(mine, more) == [circle]


@pytest.mark.parametrize("key", ["schedule", "score", "select", "units", "find.batch", "model.use", "cut", "rounds"])
def test_what_comes_with_anothers_tickets_cannot_be_stated_again(mine: Path, key: str) -> None:
    value = {"find.batch": "4", "cut": "0.5", "rounds": "2"}.get(key, '"x"')
    assert one(mine, f'[[entry]]\nname = "a"\ntickets = "imp"\n{key} = {value}\n') == (
        f'entry "a": {key.partition(".")[0]}: tickets = "imp" takes that entry\'s {key.partition(".")[0]}; '
        "leave one of the two out"
    )


def test_a_dense_entry_has_no_tickets_to_take(mine: Path) -> None:
    assert one(mine, '[[entry]]\nname = "a"\ntickets = "dense"\n') == (
        'entry "a": tickets: entry "dense" has no schedule, so it makes no tickets'
    )


def test_what_is_wrong_with_an_entry_is_told_once_with_those_that_extend_it(mine: Path) -> None:
    more = "".join(f'[[entry]]\nname = "{name}"\nextends = "imp"\n' for name in "abcd")
    text = FILE.replace('score = "magnitude"', 'scroe = "magnitude"\nscore = "magnitude"')
    assert errors(mine, more, text) == ['entries "imp", "a", "b" and 2 more: scroe: unknown key. Did you mean "score"?']


def test_all_errors_of_a_file_come_at_once(mine: Path) -> None:
    text = (
        FILE.replace("seeds = [0, 1]", "seeds = [0, 1]\nclam = 3\ncut = 2.0")
        .replace("cut = 0.2\n", "")
        .replace("batch = 8", "bacth = 8")
        .replace('every = "8it"', 'evry = "8it"')
    )
    more = """
    [[entry]]
    name = "a"
    extends = "ipm"
    [[entry]]
    name = "b"
    extends = "imp"
    scroe = "random"
    ticket = "reint"
    find.lr = ["cosin"]
    """
    lines = errors(mine, more, text)
    told = "\n".join(lines)
    for message in (
        'clam: unknown key. Did you mean "claim"?',
        "cut: must be less than 1, not 2.0",
        'measure.evry: unknown key. Did you mean "every"?',
        'entry "a": extends: no entry "ipm". Did you mean "imp"?',
        'train.bacth: unknown key. Did you mean "batch"?',
        "train.batch: missing",
        'entry "b": scroe: unknown key. Did you mean "score"?',
        'entry "b": ticket.use: no component "reint". Did you mean "reinit"',
    ):
        assert message in told
    assert len(lines) == len(set(lines))
    assert "cut: missing" not in told  # it is not missing: it is wrong, which is told


def test_a_value_in_the_place_of_a_table_is_told_as_such() -> None:
    with pytest.raises(ConfigError) as told:
        toy_benchmark(model=3)
    assert told.value.errors == ("model[0]: must be a table, not 3",)


def test_two_models_of_one_name_are_told_to_have_labels(mine: Path) -> None:
    text = FILE.replace('[model]\nuse = "toy-net"', '[[model]]\nuse = "toy-net"\n[[model]]\nuse = "toy-net"')
    assert errors(mine, text=text) == ['model: two of them would be called alike; give each a `label = "..."`']


def test_the_file_is_named_as_seen_from_where_one_stands(mine: Path) -> None:
    with pytest.raises(ConfigError, match=r"^no\.toml: no such file\.$"):
        load(mine.parent / "no.toml", toy_catalogue())


# Components: what they may refuse, what they may refer to, and what must not meet.


class LossConfig(ComponentConfig):
    strength: float = 1.0
    against: EntryRef | None = None
    others: tuple[EntryRef, ...] = ()


class Loss:
    def __init__(self, config: LossConfig) -> None:
        pass

    @hookimpl
    def prunebench_loss_terms(self) -> list[Any]:
        return []


class OtherRate:
    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_lr(self) -> float:
        return 1.0


WITH_MORE: Catalogue = (
    toy_catalogue()
    .with_components([Component("toy-loss", LossConfig, Loss, version=1)], "my-losses 0.3")
    .with_components([Component("flat", ComponentConfig, OtherRate, version=1)], "my-rates 0.1")
)


def referring(**loss: Any) -> Mapping[str, Any]:
    return {"name": "a", "extends": "imp", "loss": [{"use": "toy-loss", **loss}]}


def of_toy(*entries: Mapping[str, Any], **more: Any) -> Sequence[str]:
    with pytest.raises(ConfigError) as told:
        toy_benchmark(entry=list(entries), catalogue=WITH_MORE, **more)
    return told.value.errors


def test_a_field_of_a_component_may_name_another_entry() -> None:
    benchmark = toy_benchmark(entry=[referring(against="imp", others=["dense"])], catalogue=WITH_MORE)
    assert {name for _, name in entry(benchmark, "a").references()} == {"imp", "dense"}


def test_a_reference_to_an_unknown_entry_names_its_field_and_the_nearest() -> None:
    assert of_toy(referring(against="ipm")) == (
        'entry "a": component "toy-loss": against: no entry "ipm". Did you mean "imp"?',
    )
    assert of_toy(referring(others=["imp", "desne"])) == (
        'entry "a": component "toy-loss": others: no entry "desne". Did you mean "dense"?',
    )


def test_references_of_components_may_not_go_in_a_circle_either() -> None:
    (message,) = of_toy(referring(against="b"), {"name": "b", "extends": "imp", "tickets": "a"})
    assert message == 'entry "a": the entries refer to one another in a circle: a -> b -> a'


def test_two_learning_rates_are_an_error_that_names_both_distributions() -> None:
    rate = toy_catalogue().find("constant").distribution
    assert of_toy(train={"lr": ["constant", "flat"]}) == (
        f"train.lr: prunebench_lr is answered by constant ({rate}) and flat (my-rates 0.1); only one may",
    )


def test_a_wrapper_of_a_learning_rate_needs_one_to_wrap() -> None:
    assert of_toy(train={"lr": [{"use": "warmup", "over": "3it"}]}) == (
        'train.lr: "warmup" gives no learning rate of its own; begin the list with one, like "constant"',
    )
    assert of_toy({"name": "imp", "find": {"lr": []}}) == (
        'entry "imp": find.lr: the list gives no learning rate of its own; begin the list with one, like "constant"',
    )


def test_a_component_in_the_wrong_place_is_told_where_it_fits() -> None:
    (message,) = of_toy({"name": "imp", "score": "global"})
    assert message.startswith('entry "imp": score.use: component global (')
    assert message.endswith("has no prunebench_score, which 'score' needs; it fits \"select\"")


# Densities as they are printed.


@pytest.mark.parametrize(
    ("text", "decimals"), [("0.210", 3), ("0.21", 2), ("1", 0), ("1.0", 1), ("1e-2", 2), ("2.10e-2", 4), ("5e0", 0)]
)
def test_the_digits_that_a_density_is_printed_with_are_its_precision(text: str, decimals: int) -> None:
    assert Density(float(text), Printed(text).text).decimals == decimals


def test_an_entry_that_extends_another_keeps_its_edits_for_the_tickets_of_a_third() -> None:
    entries = [
        {"name": "other", "extends": "imp", "schedule": "one-shot"},
        {"name": "control", "tickets": "imp", "ticket": "reinit", "analyse": "layer-densities"},
        {"name": "both", "extends": "control", "tickets": "other"},
        {"name": "plain", "tickets": "control"},
    ]
    found = toy_benchmark(entry=entries).all_entries
    both, plain = found["both"], found["plain"]
    assert [use.name for use in (*both.edits, *both.analyses)] == ["reinit", "layer-densities"]
    assert (both.tickets, both.schedule.name) == ("other", "one-shot")  # type: ignore[union-attr]
    assert plain.edits == plain.analyses == ()


def test_an_entry_with_another_data_set_does_not_inherit_the_keys_of_the_files() -> None:
    entry = {"name": "imp", "data": {"use": "cifar10", "valid": 100}}
    found = toy_benchmark({"data": {"use": "mnist", "normalise": "none"}}, entry=[entry]).all_entries
    assert found["imp"].data[0].use.config.normalise == "own"  # type: ignore[attr-defined]
    assert found["dense"].data[0].use.config.normalise == "none"  # type: ignore[attr-defined]
