import types
from collections.abc import Iterable, Iterator
from importlib.metadata import EntryPoint
from typing import Any

import pytest
from pydantic import field_validator

from prunebench import Component, ComponentConfig, ContractError, Position, hookimpl
from prunebench.api.component import BoundComponent
from prunebench.api.errors import ConfigError, PlanError
from prunebench.api.positions import Clock
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import accepts, call_planning_hook, implements, run_manager


class RateConfig(ComponentConfig):
    rate: float = 1.0
    over: Position = Position.parse("1ep")


class Rate:
    def __init__(self, config: RateConfig) -> None:
        self._rate = config.rate

    @hookimpl
    def prunebench_lr(self) -> float:
        return self._rate


class Halves:
    def __init__(self, config: RateConfig) -> None:
        pass

    @hookimpl(wrapper=True)
    def prunebench_lr(self) -> Any:
        return (yield) / 2


class MinusOne(Halves):
    @hookimpl(wrapper=True)
    def prunebench_lr(self) -> Any:
        return (yield) - 1


class Misspelt:
    def __init__(self, config: RateConfig) -> None:
        pass

    @hookimpl
    def prunebench_lr(self, postion: int) -> float:
        return 1.0


class UnknownHook(Misspelt):
    @hookimpl
    def prunebench_larning_rate(self) -> float:
        return 1.0

    prunebench_lr = None  # type: ignore[assignment]


class Hesitates(Rate):
    def __init__(self, config: RateConfig) -> None:
        raise ValueError("a rate of 1 is not one that it can halve")


def plugin(*components: Component, marked: bool = True) -> types.ModuleType:
    """A module as a stranger writes it."""
    module = types.ModuleType("stranger")

    def prunebench_components() -> Iterable[Component]:
        return components

    module.prunebench_components = hookimpl(prunebench_components) if marked else prunebench_components  # type: ignore[attr-defined]
    return module


RATE = Component("rate", RateConfig, Rate, version=3, paper="Nobody 2020")


def catalogue(*components: Component) -> Catalogue:
    return Catalogue.of([("lr-plugin 1.0", "lr_plugin", plugin(RATE, *components))])


def errors(call: Any, *arguments: Any, **more: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as told:
        call(*arguments, **more)
    return told.value.errors


# Loading.


def test_components_are_found_by_name_with_the_distribution_they_come_from() -> None:
    provider = catalogue().find("rate")
    assert provider.component is RATE
    assert str(provider) == "rate (lr-plugin 1.0)"


def test_two_components_of_one_name_are_an_error_that_names_both_distributions() -> None:
    modules = [("lr-plugin 1.0", "lr_plugin", plugin(RATE)), ("other-plugin 0.3", "other.lr", plugin(RATE))]
    assert errors(Catalogue.of, modules) == (
        'component "rate" is offered by lr-plugin 1.0 (lr_plugin) and by other-plugin 0.3 (other.lr): '
        "uninstall one of them or rename its component",
    )


def test_every_clash_is_told_at_once() -> None:
    others = [plugin(RATE, Component("b", RateConfig, Rate, version=1)) for _ in range(2)]
    assert len(errors(Catalogue.of, [("a", "a", others[0]), ("b", "b", others[1])])) == 2


@pytest.fixture
def broken_point(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> EntryPoint:
    (tmp_path / "broken_plugin.py").write_text("import a_package_that_is_not_there\n")
    monkeypatch.syspath_prepend(tmp_path)
    return EntryPoint("broken", "broken_plugin", "prunebench")


def test_a_plugin_that_fails_to_import_does_not_stop_the_others(broken_point: EntryPoint) -> None:
    working = EntryPoint("magnitude", "prunebench_plugins.scores.magnitude", "prunebench")
    loaded = Catalogue.load([broken_point, working])
    assert list(loaded.providers) == ["magnitude"]
    assert list(loaded.broken) == ["broken"]


def test_a_plugin_that_failed_is_named_where_a_file_needs_a_component_that_is_not_there(
    broken_point: EntryPoint,
) -> None:
    loaded = Catalogue.load([broken_point])
    (message,) = errors(loaded.use, "its-score", where="score")
    assert message.startswith('score.use: no component "its-score".')
    assert "A plugin failed to load and may be the one that is missing: " in message
    assert "ModuleNotFoundError: No module named 'a_package_that_is_not_there'" in message


def test_a_plugin_whose_hook_fails_is_set_aside_like_one_that_cannot_be_imported() -> None:
    module = types.ModuleType("stranger")

    @hookimpl
    def prunebench_components() -> Iterator[Component]:
        yield RATE
        raise RuntimeError("no licence")

    module.prunebench_components = prunebench_components  # type: ignore[attr-defined]
    loaded = Catalogue.of([("x 1.0", "x", module)])
    assert loaded.broken == {"x": "x 1.0: RuntimeError: no licence"}


def test_a_plugin_without_components_is_told_what_it_may_have_forgotten() -> None:
    loaded = Catalogue.of([("x 1.0", "x", plugin(RATE, marked=False))])
    assert loaded.broken == {"x": "x 1.0: x offers no component; is its prunebench_components a @hookimpl?"}


def test_what_is_installed_loads_without_a_failure() -> None:
    loaded = Catalogue.load()
    assert loaded.broken == {}
    assert {"rewind", "magnitude", "global"} <= set(loaded.providers)


# Using.


def test_a_name_alone_stands_for_its_table() -> None:
    assert catalogue().use("rate") == catalogue().use({"use": "rate"})


def test_a_configuration_is_resolved_with_all_defaults() -> None:
    use = catalogue().use({"use": "rate", "rate": 2})
    assert use.to_json() == {"use": "rate", "version": 3, "config": {"rate": 2.0, "over": "1ep"}}
    assert use.to_json(Clock(12))["config"]["over"] == "12it"
    assert use.to_json()["config"]["over"] == "1ep"


def test_a_position_that_the_clock_cannot_convert_names_the_component() -> None:
    use = catalogue().use({"use": "rate", "over": "2%"})
    with pytest.raises(PlanError, match='component "rate": "2%" is a share of the horizon'):
        use.to_json(Clock(12))


def test_an_unknown_component_is_answered_with_the_nearest() -> None:
    assert errors(catalogue().use, "rat", where="train.lr") == (
        'train.lr.use: no component "rat". Did you mean "rate"? `prunebench plugins` lists what is installed.',
    )


def test_a_table_without_a_name_is_told_what_to_write() -> None:
    assert errors(catalogue().use, {"rate": 2}, where="train.lr") == (
        'train.lr.use: which component? Write `use = "NAME"`.',
    )


def test_every_error_of_a_table_is_told_at_once() -> None:
    assert errors(catalogue().use, {"use": "rate", "rat": 2, "rate": "fast", "over": 3}, where="lr") == (
        "lr.rate: must be a number, not 'fast' (component \"rate\")",
        'lr.over: 3 is not a position: write iterations "500it", epochs "2ep" or a share of the horizon "2%" '
        '(component "rate")',
        'lr.rat: unknown key (component "rate"). Did you mean "rate"?',
    )


def test_a_component_in_a_slot_that_it_does_not_fit_is_told_which_one_it_fits() -> None:
    assert errors(catalogue().use, "rate", slot="score", where="score") == (
        "score.use: component rate (lr-plugin 1.0) has no prunebench_score, which 'score' needs; it fits \"lr\"",
    )


def test_a_hook_with_a_wrong_signature_is_told_with_its_argument_before_anything_runs() -> None:
    odd = catalogue(Component("odd", RateConfig, Misspelt, version=1))
    (message,) = errors(odd.use, "odd", slot="lr", where="train.lr")
    assert message.startswith("train.lr.use: component odd (lr-plugin 1.0) has a hook with a wrong signature: ")
    assert "postion" in message


def test_a_hook_that_does_not_exist_is_told_by_its_name() -> None:
    odd = catalogue(Component("odd", RateConfig, UnknownHook, version=1))
    (message,) = errors(odd.use, "odd", slot="lr")
    assert "prunebench_larning_rate" in message


def test_a_component_may_refuse_a_configuration_when_it_is_built() -> None:
    odd = catalogue(Component("odd", RateConfig, Hesitates, version=1))
    assert errors(odd.use, "odd", slot="lr", where="lr") == (
        "lr: component odd (lr-plugin 1.0): a rate of 1 is not one that it can halve",
    )


class Fails(Rate):
    def __init__(self, config: RateConfig) -> None:
        {}["a table"]


class Leaves(Rate):
    def __init__(self, config: RateConfig) -> None:
        raise SystemExit(0)


class OddConfig(ComponentConfig):
    table: Any = None

    @field_validator("table")
    @classmethod
    def _hashed(cls, table: Any) -> Any:
        return {table: 1}


@pytest.mark.parametrize(("build", "error"), [(Fails, "KeyError: 'a table'"), (Leaves, "SystemExit: 0")])
def test_a_component_that_cannot_be_built_is_named_whatever_it_raises(build: type, error: str) -> None:
    odd = catalogue(Component("odd", RateConfig, build, version=1))
    assert errors(odd.use, "odd", slot="lr", where="lr") == (f"lr: component odd (lr-plugin 1.0): {error}",)


def test_a_configuration_whose_validator_fails_names_its_component() -> None:
    odd = catalogue(Component("odd", OddConfig, Rate, version=1))
    assert errors(odd.use, {"use": "odd", "table": []}, where="lr") == (
        "lr: component odd (lr-plugin 1.0): TypeError: unhashable type: 'list'",
    )


def test_a_planning_hook_that_fails_names_its_component() -> None:
    (use,) = uses(("leaves", Quits))
    with pytest.raises(PlanError, match=r"component leaves \(mine 1\.0\): prunebench_needs failed: SystemExit: 0"):
        call_planning_hook(use, "prunebench_needs")


class Quits(Rate):
    @hookimpl
    def prunebench_needs(self) -> None:
        raise SystemExit(0)


@pytest.mark.parametrize("table", [3, 3.5, [], [["use"]], None, True, {"use": 3}, {"use": []}, {"use": {}}, {}])
def test_what_is_no_table_of_a_component_is_refused_with_a_sentence(table: Any) -> None:
    (message,) = errors(catalogue().use, table, slot="lr", where="lr")
    assert message.startswith(("lr: must be a table, not ", "lr.use: which component?"))


def test_looking_at_a_wrong_component_leaves_the_next_one_right() -> None:
    odd = catalogue(Component("odd", RateConfig, UnknownHook, version=1))
    for _ in range(2):
        (message,) = errors(odd.use, "odd", slot="lr")
        assert "prunebench_larning_rate" in message
        assert odd.use("rate", slot="lr").name == "rate"


def test_a_component_of_a_phase_comes_back_with_its_configuration() -> None:
    use = catalogue().use({"use": "rate", "rate": 2})
    assert catalogue().from_json(use.to_json()) == use


def test_a_phase_planned_with_another_version_is_refused() -> None:
    described = {**catalogue().use("rate").to_json(), "version": 2}
    with pytest.raises(ContractError, match=r"rate \(lr-plugin 1.0\) has version 3; the phase was planned with 2"):
        catalogue().from_json(described)


def test_more_components_can_be_laid_over_a_catalogue_without_changing_it() -> None:
    base = catalogue()
    more = base.with_components([Component("other", RateConfig, Rate, version=1)], "tests")
    assert str(more.find("other")) == "other (tests)"
    assert more.find("rate") is base.find("rate")
    assert "other" not in base.providers


# The run manager.


def uses(*components: tuple[str, type]) -> list[BoundComponent]:
    offered = [Component(name, RateConfig, build, version=1) for name, build in components]
    found = Catalogue.of([("mine 1.0", "mine", plugin(*offered))])
    return [found.use({"use": name, "rate": 4.0}) for name, _ in components]


def lr(*components: tuple[str, type]) -> float:
    rate: float = run_manager(uses(*components)).hook.prunebench_lr(position=0, horizon=1)
    return rate


def test_a_run_calls_only_the_components_that_it_was_given() -> None:
    assert lr(("base", Rate)) == 4.0
    assert run_manager([]).hook.prunebench_lr(position=0, horizon=1) is None


def test_wrappers_act_in_the_order_of_the_file_the_later_the_further_out() -> None:
    assert lr(("base", Rate), ("half", Halves), ("less", MinusOne)) == 4.0 / 2 - 1
    assert lr(("base", Rate), ("less", MinusOne), ("half", Halves)) == (4.0 - 1) / 2


def test_two_providers_of_a_first_result_hook_are_an_error_that_names_both_in_the_order_of_the_file() -> None:
    with pytest.raises(ContractError) as told:
        run_manager(uses(("one", Rate), ("two", Rate)))
    assert str(told.value) == "prunebench_lr is answered by one (mine 1.0) and two (mine 1.0); only one may"


def test_a_wrong_signature_names_the_component() -> None:
    with pytest.raises(ContractError, match=r"component odd \(mine 1\.0\): .*postion"):
        run_manager(uses(("odd", Misspelt)))


def test_what_a_component_implements_and_asks_for_can_be_told() -> None:
    built = Rate(RateConfig())
    assert implements(built, "prunebench_lr")
    assert not implements(built, "prunebench_score")
    assert not implements(plugin(marked=False), "prunebench_components")
    assert accepts(Misspelt(RateConfig()), "prunebench_lr", "postion")
    assert not accepts(built, "prunebench_lr", "position")
