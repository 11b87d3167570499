"""What plans are made of: references, runs, tickets, the chain that schedules build on, and what counts are asked."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench import Component, ComponentConfig, PlanError, Position, hookimpl
from prunebench.api.errors import ConfigError
from prunebench.api.planning import Needs, PlannedTicket, Recipes, Ref, Request, TrainedPoint
from prunebench.benchmark.densities import Density
from prunebench.benchmark.tables import Measure
from prunebench.kernels.counts import count_at, global_count
from prunebench.plan.chain import Chain
from prunebench.plan.compile import chain_of
from prunebench.plan.counts import matched
from prunebench.plan.curves import CurveSpec, curve_spec
from prunebench.plan.specs import ComponentSpec
from prunebench.testing import ToyProbe, toy_benchmark, toy_catalogue, toy_chain

CLASSES = toy_catalogue().use("classification", slot="task")

# How many units live.


@settings(deadline=None)
@given(st.integers(1, 99), st.integers(0, 40), st.integers(1, 10**7))
def test_a_round_of_a_global_cut_leaves_the_nearest_whole_number_of_units(percent: int, round: int, units: int) -> None:
    exact = (1 - Fraction(percent, 100)) ** round * units
    # A half is as near to both of its neighbours; beyond that only the last bits of a float may differ.
    assert abs(global_count(percent / 100, round, units) - exact) <= Fraction(1, 2) + Fraction(units, 10**12)


def test_the_counts_of_a_chain_are_those_of_its_cut() -> None:
    chain, _ = toy_chain(rounds=10, cut=0.2)
    assert chain.counts == (66, 53, 42, 34, 27, 22, 17, 14, 11, 9, 7)
    assert chain.counts == tuple(round(0.8**r * 66) for r in range(11))
    assert chain.rounds == 10


def test_a_half_goes_to_the_even_count() -> None:
    assert [count_at(0.5, units) for units in (1, 3, 5, 7)] == [0, 2, 2, 4]


@pytest.mark.parametrize(
    ("printed", "rounds"),
    [
        (["0.80"], [1]),
        (["0.8"], [1]),
        (["0.64", "0.80"], [1, 2]),  # in the order of the rounds
        (["0.21"], [7]),  # 14 of 66 units are 0.2121...
        (["0.212"], [7]),
        (["0.5"], [3]),  # 34 of 66 are 0.515
        (["1"], [0]),
        (["1.0"], [0]),
        (["1e-1"], [10]),  # 7 of 66 are 0.106
        (["0.80", "0.803"], [1]),
    ],
)
def test_densities_name_rounds_to_the_precision_that_they_are_printed_with(
    printed: Sequence[str], rounds: Sequence[int]
) -> None:
    assert matched([Density(float(text), text) for text in printed], toy_chain(10)[0].counts) == rounds


@pytest.mark.parametrize(
    ("printed", "nearest"),
    [
        ("0.210", "0.212 (round 7) and 0.167 (round 8)"),  # stated to three digits, so it is not 0.212
        ("0.50", "0.515 (round 3) and 0.409 (round 4)"),
        ("0.7", "0.803 (round 1) and 0.636 (round 2)"),  # one digit would show densities that no round has,
        ("0.0001", "0.1364 (round 9) and 0.1061 (round 10)"),
    ],
)
def test_a_density_that_no_round_has_is_answered_with_the_nearest(printed: str, nearest: str) -> None:
    with pytest.raises(PlanError) as told:
        matched([Density(float(printed), printed)], toy_chain(10)[0].counts)
    assert str(told.value) == f"no round has density {printed}; the nearest are {nearest}"


@settings(deadline=None)
@given(st.integers(1, 30), st.integers(100, 10**8), st.integers(1, 6))
def test_every_round_is_found_by_the_density_that_it_prints(round_: int, units: int, digits: int) -> None:
    counts = [global_count(0.2, r, units) for r in range(round_ + 1)]
    density = counts[-1] / units
    text = f"{density:.{digits}f}"
    if float(text) > 0:
        (found,) = matched([Density(float(text), text)], counts)
        # Coarsely printed, several rounds share a density; the nearest to what is written is meant.
        assert abs(counts[found] / units - float(text)) <= abs(density - float(text))


# References and runs.


def test_a_reference_survives_json_and_has_one_address() -> None:
    ref = Ref("k" * 64, "weights", 12)
    assert Ref.from_json(ref.to_json()) == ref
    others = [Ref("k" * 64, "optimizer", 12), Ref("k" * 64, "weights", 13), Ref("j" * 64, "weights", 12)]
    assert len({one.address for one in (ref, Ref(ref.key, "weights", 12, "detail"), *others)}) == 5


def dense_run(**train: Any) -> Any:
    chain, _ = toy_chain(1, changes={"train": train})
    return chain, chain.find(chain.dense, 1)


def test_a_run_has_a_state_at_every_position_of_its_window() -> None:
    _, run = dense_run()
    assert (run.start, run.stop) == (0, 24)
    assert run.at("1ep") == Ref(run.key, "weights", 12)
    assert run.at("50%") == Ref(run.key, "weights", 12)
    assert run.end == Ref(run.key, "weights", 24)
    assert run.end_optimizer == Ref(run.key, "optimizer", 24)


def test_where_a_run_starts_its_weights_are_the_tickets_and_its_optimizer_is_fresh() -> None:
    chain, run = dense_run()
    assert run.at("0it") == chain.dense.weights
    assert run.optimizer_at("0it") is None
    assert run.optimizer_at("3it") == Ref(run.key, "optimizer", 3)


@pytest.mark.parametrize("place", ["25it", "3ep", "110%"])
def test_a_position_outside_of_the_window_is_refused(place: str) -> None:
    _, run = dense_run()
    with pytest.raises(PlanError, match=r"is outside of the run, which goes from iteration 0 to 24"):
        run.at(place)


def test_a_run_that_is_stopped_early_is_the_same_run() -> None:
    (_, full), (_, early) = dense_run(), dense_run(stop="12it")
    assert (early.key, early.stop) == (full.key, 12)
    assert early.end == full.at("12it")


def test_a_stop_past_the_horizon_is_refused() -> None:
    with pytest.raises(PlanError, match='stop "25it" is past the horizon "24it"'):
        dense_run(stop="25it")


def test_an_empty_window_is_refused() -> None:
    chain, _ = toy_chain(1)
    with pytest.raises(PlanError, match=r'round 0: nothing to train: it starts at "24it" \(iteration 24\) and stops'):
        chain.find(chain.dense.replace(start=Position.parse("24it")), 1)


def test_a_ticket_may_train_past_the_horizon_where_it_says_for_how_long() -> None:
    chain, _ = toy_chain(1)
    ticket = chain.dense.replace(start=Position.parse("100%"), over=Position.parse("10it"))
    run = chain.find(ticket, 1)
    assert (run.start, run.stop, run.clock.horizon) == (24, 34, 24)


def test_a_ticket_may_change_fields_of_the_recipe() -> None:
    chain, recipes = toy_chain(1)
    changes = {"optimizer": chain.use({"use": "sgd", "lr": 0.001}, "optimizer"), "batch": 16}
    run = chain.find(chain.dense.replace(changes=changes), 1)
    assert run.batch == 16
    assert chain.phases.by_key[run.key].spec.recipe.optimizer.config["lr"] == 0.001
    assert recipes.find.batch == 8


def test_a_component_that_a_schedule_names_is_resolved_with_the_key_it_stands_under() -> None:
    chain, _ = toy_chain(1)
    with pytest.raises(ConfigError, match=r'schedule\.optimizer\.use: no component "sdg"\. Did you mean "sgd"\?'):
        chain.use("sdg", "optimizer")


def test_the_rates_of_a_recipe_are_known_before_it_runs() -> None:
    chain, recipes = toy_chain(1, changes={"train": {"lr": [{"use": "milestones", "at": ["50%"], "factor": 0.1}]}})
    rates = chain.rates(recipes.find)
    assert (rates[0], rates[-1]) == (1.0, 0.1)
    assert len(rates) == 25  # a horizon of 24 iterations has no thousand places


# Positions are converted with each run's own batch size.


def test_one_epoch_of_a_ticket_is_that_of_the_run_which_it_starts() -> None:
    changes = {
        "entry": [{"name": "imp", "schedule": {"use": "rewind", "to": "1ep"}}],
        "find": {"batch": 8, "horizon": "4ep"},
        "evaluate": {"batch": 16, "horizon": "4ep"},
    }
    chain, _ = toy_chain(1, changes=changes)
    ticket = chain.tickets[1]
    assert ticket.weights.at == 12  # 96 images in batches of 8
    judged = chain.evaluate(ticket)
    assert (judged.start, judged.stop) == (6, 24)  # in batches of 16
    found = chain.find(ticket, 2)
    assert (found.start, found.stop) == (12, 48)


def test_incomplete_batches_are_dropped() -> None:
    chain, _ = toy_chain(1, changes={"train": {"batch": 50}})
    assert chain.context.clock(chain.recipes.find).steps_per_epoch == 1


# How curves are measured.


def test_a_curve_is_measured_in_the_iterations_of_its_run() -> None:
    _, run = dense_run()
    measure = Measure(every=Position.parse("0.5ep"), at=(Position.parse("2ep"), Position.parse("3it")))
    assert curve_spec(measure, CLASSES, run) == CurveSpec(
        task=ComponentSpec("classification", 1, {"top5": False}),
        every=6,
        at=(3, 24),
        splits=("test", "train", "valid"),
        train_sample=10_000,
    )


def test_the_size_of_the_training_sample_counts_only_where_train_is_measured() -> None:
    _, run = dense_run()
    assert curve_spec(Measure(splits=("test",)), CLASSES, run) == CurveSpec(
        task=ComponentSpec.of(CLASSES), every=None, at=(), splits=("test",), train_sample=None
    )


def test_measuring_outside_of_a_run_is_refused() -> None:
    _, run = dense_run()
    with pytest.raises(PlanError, match=r'measure\.at: "3ep" \(iteration 36\) is outside of the run'):
        curve_spec(Measure(at=(Position.parse("3ep"),)), CLASSES, run)


# Schedules: what a chain holds them to.


class OwnSchedule:
    """A schedule as a test writes it."""

    def __init__(self, lay_out: Any) -> None:
        self._lay_out = lay_out

    @hookimpl
    def prunebench_schedule(self, chain: Chain, recipes: Recipes) -> list[PlannedTicket]:
        tickets: list[PlannedTicket] = self._lay_out(chain, recipes)
        return tickets


def chain_with(lay_out: Any) -> Chain:
    own = Component("own", ComponentConfig, lambda config: OwnSchedule(lay_out), version=1)
    catalogue = toy_catalogue().with_components([own], "tests")
    benchmark = toy_benchmark(entry=[{"name": "imp", "schedule": "own"}], catalogue=catalogue)
    return chain_of(benchmark, ToyProbe(), "imp", 0)


def test_a_schedule_that_forgets_a_round_is_named() -> None:
    with pytest.raises(PlanError, match=r"schedule own \(tests\) gave 1 tickets; 3 were asked for, the first dense"):
        _ = chain_with(lambda chain, recipes: [chain.dense]).tickets


def test_the_first_ticket_is_dense() -> None:
    def pruned_at_once(chain: Chain, recipes: Recipes) -> list[PlannedTicket]:
        mask = chain.prune(chain.dense, 1).mask
        return [chain.ticket(round, mask, chain.dense.weights) for round in range(3)]

    with pytest.raises(PlanError, match="the first dense"):
        _ = chain_with(pruned_at_once).tickets


def test_a_ticket_that_was_never_trained_can_be_pruned_and_so_can_any_state_of_a_run() -> None:
    chain, _ = toy_chain(1)
    at_init = chain.phases.by_key[chain.prune(chain.dense, 1).mask.key].spec
    assert (at_init.weights, at_init.mask) == (chain.dense.weights, None)
    run = chain.find(chain.dense, 1)
    early = chain.phases.by_key[chain.prune(run, 1, at=Position.parse("1ep"), count=10).mask.key].spec
    assert (early.weights.at, early.count) == (12, 10)


def test_a_global_selection_is_keyed_by_its_count_alone_and_a_layer_wise_one_by_cut_and_round_too() -> None:
    keyed = []
    for select in ("global", "layerwise"):
        chain, _ = toy_chain(1, changes={"entry": [{"name": "imp", "select": select}]})
        spec = chain.phases.by_key[chain.prune(chain.dense, 1).mask.key].spec
        keyed.append((spec.cut, spec.round))
    assert keyed == [(None, None), (0.2, 1)]


# What components ask for.


class Asks:
    """A component that asks for what a test says, and otherwise does nothing."""

    def __init__(self, answer: Any) -> None:
        self._answer = answer

    @hookimpl
    def prunebench_needs(self, request: Request) -> Any:
        return self._answer(request)

    @hookimpl
    def prunebench_loss_terms(self) -> list[Any]:
        return []

    @hookimpl
    def prunebench_mask_updates(self) -> list[Any]:
        return []

    @hookimpl
    def prunebench_score(self) -> Any:
        raise AssertionError("planning scores nothing")


def asking(answer: Any, slot: str = "loss") -> Chain:
    component = Component("asks", ComponentConfig, lambda config: Asks(answer), version=1)
    catalogue = toy_catalogue().with_components([component], "tests")
    entry = {"name": "imp", slot: "asks" if slot == "score" else ["asks"]}
    return chain_of(toy_benchmark(entry=[entry], rounds=3, catalogue=catalogue), ToyProbe(), "imp", 0)


def spec_of(chain: Chain, round: int) -> Any:
    run = chain.find(chain.tickets[round - 1], round)
    return chain.phases.by_key[run.key].spec


def test_a_term_that_repels_from_earlier_optima_has_none_in_round_1_and_is_absent_from_its_key() -> None:
    chain = asking(lambda request: Needs({"optima": request.optima}, active=bool(request.optima)))
    assert spec_of(chain, 1).loss == ()
    plain, _ = toy_chain(3)
    assert chain.find(chain.dense, 1).key == plain.find(plain.dense, 1).key


@pytest.mark.parametrize("round", [2, 3])
def test_in_round_r_it_reads_the_ends_of_the_r_minus_1_find_runs_before(round: int) -> None:
    chain = asking(lambda request: Needs({"optima": request.optima}, active=bool(request.optima)))
    spec = spec_of(chain, round)
    (term,) = spec.loss
    assert [optimum.round for optimum in term.inputs["optima"]] == list(range(round - 1))
    assert [optimum.weights.at for optimum in term.inputs["optima"]] == [24] * (round - 1)
    assert [optimum.mask is None for optimum in term.inputs["optima"]] == [True] + [False] * (round - 2)
    # What it reads is made before it runs.
    run = chain.find(chain.tickets[round - 1], round)
    parents = {ref.key for ref in chain.phases.by_key[run.key].parents}
    assert {optimum.weights.key for optimum in term.inputs["optima"]} <= parents


def test_a_schedule_that_trains_under_a_changed_find_recipe_gets_its_earlier_optima() -> None:
    asks = Component("asks", ComponentConfig, lambda config: Asks(repelled), version=1)

    def repelled(request: Request) -> Needs:
        return Needs({"optima": request.optima}, active=bool(request.optima))

    def half(chain: Chain, recipes: Recipes) -> list[PlannedTicket]:
        tickets = [chain.dense]
        for round in range(1, chain.rounds + 1):
            run = chain.find(tickets[-1], round, recipes.find.replace(horizon=Position.parse("12it")))
            tickets.append(chain.ticket(round, chain.prune(run, round).mask, chain.dense.weights))
        return tickets

    own = Component("own", ComponentConfig, lambda config: OwnSchedule(half), version=1)
    catalogue = toy_catalogue().with_components([own, asks], "tests")
    entry = {"name": "imp", "schedule": "own", "loss": ["asks"]}
    chain = chain_of(toy_benchmark(entry=[entry], rounds=3, catalogue=catalogue), ToyProbe(), "imp", 0)
    for round, ticket in enumerate(chain.tickets[1:], 1):
        run = chain.phases.by_key[chain.phases.by_key[ticket.mask.key].spec.weights.key].spec  # type: ignore[union-attr]
        assert run.recipe.horizon == 12
        assert [len(term.inputs["optima"]) for term in run.loss] == ([round - 1] if round > 1 else [])
        assert [len(term.inputs["optima"]) for term in judged(chain, ticket).loss] == [round]


def judged(chain: Chain, ticket: PlannedTicket) -> Any:
    return chain.phases.by_key[chain.evaluate(ticket).key].spec


def test_a_run_beside_the_chain_is_no_optimum_for_others() -> None:
    chain, recipes = toy_chain(2)
    _ = chain.tickets
    before = chain.optima
    chain.evaluate(chain.dense, recipes.find)
    chain.find(chain.dense, 1, twin=1)
    assert chain.optima == before


def test_the_tickets_say_their_rounds() -> None:
    def shifted(chain: Chain, recipes: Recipes) -> list[PlannedTicket]:
        masks = [chain.prune(chain.dense, round).mask for round in (1, 2)]
        return [chain.dense, *(chain.ticket(1, mask, chain.dense.weights) for mask in masks)]

    with pytest.raises(PlanError, match=r"schedule own \(tests\): the ticket of round 2 says that it is of 1"):
        _ = chain_with(shifted).tickets


def test_judging_a_ticket_sees_the_optima_that_the_find_run_of_the_next_round_sees() -> None:
    chain = asking(lambda request: Needs({"optima": request.optima}, active=bool(request.optima)))
    tickets = chain.tickets
    found, judged = (chain.evaluate(tickets[1], recipe) for recipe in (chain.recipes.find, chain.recipes.evaluate))
    assert found.key == judged.key


def test_what_a_component_asks_for_is_in_the_key_by_name_and_order() -> None:
    def other_way_round(request: Request) -> Needs:
        return Needs({"optima": tuple(reversed(request.optima))})

    keys = {
        asking(answer).tickets[3].mask.key  # type: ignore[union-attr]
        for answer in (
            lambda request: None,
            lambda request: Needs({"optima": request.optima}),
            lambda request: Needs({"theirs": request.optima}),
            other_way_round,
        )
    }
    assert len(keys) == 4


def test_a_label_of_an_input_is_in_the_key_too() -> None:
    def labelled(label: str) -> Any:
        def answer(request: Request) -> Needs:
            return Needs({"start": [TrainedPoint(request.chain.dense.weights, None, 0, label)]})

        return answer

    assert spec_of(asking(labelled("a")), 1).loss != spec_of(asking(labelled("b")), 1).loss


def test_only_an_analysis_may_ask_more_than_once() -> None:
    with pytest.raises(PlanError, match=r"component asks \(tests\): only an analysis may ask for several Needs"):
        spec_of(asking(lambda request: [Needs(), Needs()]), 1)


def test_a_score_cannot_stay_out_of_a_pruning() -> None:
    with pytest.raises(PlanError, match=r"asks \(tests\): a score or a selection cannot stay out of a pruning"):
        _ = asking(lambda request: Needs(active=False), "score").tickets


def test_where_a_component_changes_the_mask_each_state_has_one_of_its_own() -> None:
    chain = asking(lambda request: None, "mask_updates")
    run = chain.find(chain.dense, 1)
    assert run.dynamic
    assert run.end_mask == Ref(run.key, "mask", 24)
    spec = chain.phases.by_key[run.key].spec
    assert (spec.count, spec.units.use) == (66, "toy-units")
