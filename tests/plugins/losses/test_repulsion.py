import inspect
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from engine.toy_runs import Workshop, rows, run
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from prunebench import ContractError
from prunebench.api.errors import ConfigError
from prunebench.api.info import Layer
from prunebench.api.masks import Mask, Scores, Units
from prunebench.api.planning import Run
from prunebench.api.tickets import Inputs, Optimum
from prunebench.api.training import LossTerm
from prunebench.plan.trial import Plan
from prunebench.testing import (
    LossContract,
    some_mask,
    state,
    toy_benchmark,
    toy_plan,
    toy_request,
    two_layer_net,
    weight_units,
)
from prunebench_plugins.losses.repulsion import Repulsion, RepulsionConfig, direction

REPEL: Mapping[str, Any] = {"use": "repulsion"}
ATTRACT: Mapping[str, Any] = {"use": "repulsion", "strength": -1.0}


def entries(*loss: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    return {"entry": [{"name": "imp", "loss": list(loss), **more}]}


def another(model: nn.Module, seed: int, mask: Mask | None, units: Units) -> dict[str, Tensor]:
    """Other weights of the same network, under a mask."""
    generator = torch.Generator().manual_seed(seed)
    weights = {name: 0.3 * torch.randn(p.shape, generator=generator) for name, p in model.named_parameters()}
    if mask is not None:
        for name, keep in units.expand(mask).items():
            weights[name] = weights[name].masked_fill(~keep, 0.0)
    return weights


def nested(units: Units, counts: Sequence[int]) -> list[Mask]:
    masks = [some_mask(units, counts[0])]
    for count in counts[1:]:
        masks.append(some_mask(units, count, of=masks[-1]))
    return masks


def optima(model: nn.Module, units: Units, masks: Sequence[Mask | None]) -> list[Optimum]:
    return [Optimum(another(model, r, mask, units), mask, r) for r, mask in enumerate(masks, start=1)]


def formula(
    model: nn.Module, units: Units, mask: Mask | None, earlier: Sequence[Optimum], strength: float
) -> dict[str, Tensor]:
    """The gradient of the paper's J by autograd, in double precision and over whole tensors."""
    keep = units.expand(Mask.full(units.layers) if mask is None else mask)
    leaves = {n: p.detach().double().requires_grad_() for n, p in model.named_parameters() if n in keep}
    present = torch.cat([(leaves[n] * keep[n]).flatten() for n in leaves])
    total = torch.zeros((), dtype=torch.float64)
    for optimum in earlier:
        past = torch.cat([(optimum.weights[n].double() * keep[n]).flatten() for n in leaves])
        total = total + (present @ past / (present.norm() * past.norm())) ** 2
    torch.autograd.backward(strength / len(earlier) * total)
    return {n: leaf.grad for n, leaf in leaves.items() if leaf.grad is not None}


def added(
    model: nn.Module, units: Units, mask: Mask | None, earlier: Sequence[Optimum], **fields: Any
) -> dict[str, Tensor]:
    """What the term leaves in gradients that were 0."""
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    component = Repulsion(RepulsionConfig.model_validate(fields))
    for term in component.prunebench_loss_terms(model, units, mask, {"optima": earlier}):
        assert term.gradient is not None
        term.gradient()
    return {n: p.grad for n, p in model.named_parameters() if p.grad is not None}


def masked(model: nn.Module, units: Units, mask: Mask | None) -> nn.Module:
    if mask is not None:
        with torch.no_grad():
            for name, keep in units.expand(mask).items():
                model.get_parameter(name).masked_fill_(~keep, 0.0)
    return model


class TestRepulsion(LossContract):
    component: Any = REPEL

    def inputs(self) -> Inputs:
        model = self.model()
        return {"optima": optima(model, self.units(model), [None, None])}

    def test_the_term_is_there(self) -> None:
        gradients = self.gradients(some_mask(self.units(self.model()), 33), 1)
        assert bool(gradients["fc1.weight"].any())
        assert not bool(gradients["fc1.bias"].any())


class TestAttraction(TestRepulsion):
    component: Any = ATTRACT


class TestRepulsionFromTheLast(TestRepulsion):
    component: Any = {"use": "repulsion", "against": "last"}


class Rows(Units):
    """Whole neurons of fc1: a row of its weights and one bias each."""

    layers = (Layer("fc1", 0, 6),)

    def reduce(self, score: Any) -> Scores:
        raise AssertionError("nothing is scored here")

    def expand(self, mask: Mask) -> dict[str, Tensor]:
        return {"fc1.weight": mask.keep[0][:, None].expand(6, 8), "fc1.bias": mask.keep[0]}


@settings(deadline=None, max_examples=60)
@given(
    st.lists(st.integers(1, 66), min_size=1, max_size=8),
    st.floats(-3, 3).filter(lambda x: abs(x) > 0.01),
    st.floats(-3, 3),
)
def test_the_gradient_is_that_of_the_papers_formula(counts: list[int], strength: float, scale: float) -> None:
    model = two_layer_net()
    units = weight_units(model)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(10**scale)
    masks = nested(units, sorted(counts, reverse=True))
    masked(model, units, masks[-1])
    earlier = optima(model, units, [None, *masks[:-1]])
    ours = added(model, units, masks[-1], earlier, strength=strength)
    present = state(model)
    size = float(torch.cat([present[name].flatten() for name in ours if name in units.expand(masks[-1])]).norm())
    for name, exact in formula(model, units, masks[-1], earlier, strength).items():
        # The gradient falls as one over the length of the weights: that is the measure of an error.
        assert float((ours[name].double() - exact).abs().max()) * size <= 1e-6 * max(1.0, abs(strength))


@pytest.mark.parametrize("kept", [61_440, 12_000])
def test_the_gradient_is_right_on_a_large_layer_dense_or_sparse(kept: int) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(400, 300))
    units = weight_units(model)
    masks = nested(units, [96_000, 76_800, kept])
    masked(model, units, masks[-1])
    earlier = optima(model, units, [None, *masks[:2]])
    ours, exact = (
        added(model, units, masks[-1], earlier)["0.weight"].double(),
        formula(model, units, masks[-1], earlier, 2.0)["0.weight"],
    )
    # Cosines of unrelated weights are small sums of large terms: the error is measured by the terms.
    assert float((ours - exact).norm() * state(model)["0.weight"].norm()) < 1e-6
    assert float((ours - exact).norm() / exact.norm()) < 1e-5


def test_at_an_optimum_its_own_gradient_vanishes() -> None:
    model = two_layer_net()
    units = weight_units(model)
    here = Optimum(state(model), None, 1)
    assert all(float(gradient.abs().max()) < 1e-6 for gradient in added(model, units, None, [here]).values())


@pytest.mark.parametrize("kept", [6, 4, 1])
def test_units_of_several_weights_are_repelled_with_all_that_they_own(kept: int) -> None:
    model, units = two_layer_net(), Rows()
    mask = some_mask(units, kept)
    masked(model, units, mask)
    earlier = optima(model, units, [None, Mask.full(units.layers)])
    ours = added(model, units, mask, earlier)
    for name, exact in formula(model, units, mask, earlier, 2.0).items():
        assert torch.allclose(ours[name].double(), exact, atol=1e-6)
    assert bool(ours["fc1.bias"].any())
    assert not bool(ours["fc2.weight"].any())


def test_the_gradient_is_orthogonal_to_the_weights_and_zero_off_the_mask() -> None:
    model = two_layer_net()
    units = weight_units(model)
    mask = some_mask(units, 30)
    masked(model, units, mask)
    ours = added(model, units, mask, optima(model, units, [None]))
    keep = units.expand(mask)
    present = state(model)
    assert abs(sum(float((ours[n] * present[n]).sum()) for n in keep)) < 1e-6
    assert all(not bool(ours[n][~keep[n]].any()) for n in keep)
    assert any(bool(ours[n].any()) for n in keep)


@pytest.mark.parametrize(("strength", "sign"), [(2.0, -1), (-1.0, 1)])
def test_steps_along_it_lead_away_from_the_optima_or_to_them(strength: float, sign: int) -> None:
    model = two_layer_net()
    units = weight_units(model)
    earlier = optima(model, units, [None])

    def cosine() -> float:
        a, b = (
            torch.cat([s[n].flatten() for n in units.expand(Mask.full(units.layers))]) for s in (state(model), past)
        )
        return abs(float(torch.nn.functional.cosine_similarity(a, b, dim=0)))

    past = earlier[0].weights
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.add_(past[name])
    before = cosine()
    for _ in range(300):
        gradients = added(model, units, None, earlier, strength=strength)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.sub_(0.2 * gradients[name])
    assert sign * (cosine() - before) > 0.1
    assert cosine() < 0.01 if sign < 0 else cosine() > 0.98


def test_weights_and_optima_of_zeros_are_left_alone() -> None:
    model = two_layer_net()
    units = weight_units(model)
    zeros = Optimum({name: torch.zeros_like(p) for name, p in model.named_parameters()}, None, 1)
    other = optima(model, units, [None])[0]
    assert not any(bool(gradient.any()) for gradient in added(model, units, None, [zeros]).values())
    # An optimum of which nothing is left counts among the K and has a cosine of 0.
    half, whole = (
        added(model, units, None, [zeros, other], strength=2.0),
        added(model, units, None, [other], strength=1.0),
    )
    assert all(torch.allclose(half[name], whole[name]) for name in half)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert not any(bool(gradient.any()) for gradient in added(model, units, None, [other], strength=1e6).values())


@pytest.mark.parametrize("kept", [100, 20])
def test_a_layer_without_a_gradient_gets_one_and_other_strides_do_not_matter(kept: int) -> None:
    model = nn.Sequential(nn.Conv2d(4, 6, 3, bias=False))
    units = weight_units(model)
    mask = some_mask(units, kept)
    masked(model, units, mask)
    earlier = optima(model, units, [None])
    straight = added(model, units, mask, earlier)["0.weight"]
    (term,) = Repulsion(RepulsionConfig()).prunebench_loss_terms(model, units, mask, {"optima": earlier})
    assert term.gradient is not None
    weight = model[0].weight
    weight.grad = None
    term.gradient()
    assert weight.grad is not None
    assert torch.equal(weight.grad, straight)
    model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    assert torch.equal(added(model, units, mask, earlier)["0.weight"], straight)


@pytest.mark.parametrize("kept", [60, 20])
def test_the_term_follows_the_weights_and_repeats_to_the_bit(kept: int) -> None:
    model = two_layer_net()
    units = weight_units(model)
    mask = some_mask(units, kept)
    masked(model, units, mask)
    earlier = optima(model, units, [None, None])
    (term,) = Repulsion(RepulsionConfig()).prunebench_loss_terms(model, units, mask, {"optima": earlier})
    assert term.gradient is not None
    for _ in range(2):
        for parameter in model.parameters():
            parameter.grad = None
        term.gradient()
        reached = {n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None}
        anew = added(model, units, mask, earlier)
        assert all(torch.equal(reached[name], anew[name]) for name in reached)
        assert any(bool(gradient.any()) for gradient in reached.values())
        with torch.no_grad():
            for name, keep in units.expand(mask).items():
                model.get_parameter(name).add_(0.1 * keep)


def held(term: LossTerm) -> Mapping[str, Any]:
    assert term.gradient is not None
    return inspect.getclosurevars(inspect.unwrap(term.gradient)).nonlocals


def test_of_an_optimum_only_what_survives_is_held() -> None:
    model = two_layer_net()
    units = weight_units(model)
    mask = some_mask(units, 20)
    earlier = optima(model, units, [None, None, None])
    (term,) = Repulsion(RepulsionConfig()).prunebench_loss_terms(model, units, mask, {"optima": earlier})
    table, kept = held(term)["columns"], held(term)["kept"]
    assert table.shape == (20, 3)
    assert table.untyped_storage().nbytes() == 4 * 20 * 3
    assert kept.untyped_storage().nbytes() == 4 * 20


def test_optima_are_held_whole_where_that_takes_less_than_the_places_would() -> None:
    model = two_layer_net()
    units = weight_units(model)
    # 1 optimum of 66 weights against 1 + 3 numbers for each that is kept.
    for kept, whole in ((66, True), (17, True), (16, False)):
        mask = some_mask(units, kept)
        (term,) = Repulsion(RepulsionConfig()).prunebench_loss_terms(
            model, units, mask, {"optima": optima(model, units, [None])}
        )
        columns = held(term)["columns"]
        assert isinstance(columns, list) is whole
        if whole:
            assert sum(column.untyped_storage().nbytes() for column in columns) == 4 * 66


def test_a_mask_that_keeps_nothing_leaves_no_gradient() -> None:
    model = two_layer_net()
    units = weight_units(model)
    mask = Mask(tuple(torch.zeros_like(keep) for keep in Mask.full(units.layers).keep))
    masked(model, units, mask)
    assert not any(bool(g.any()) for g in added(model, units, mask, optima(model, units, [None])).values())


class Watched(Sequence[Optimum]):
    """Counts how often an optimum is read."""

    def __init__(self, points: Sequence[Optimum]) -> None:
        self.points, self.read = points, 0

    def __len__(self) -> int:
        return len(self.points)

    def __getitem__(self, index: Any) -> Any:
        assert isinstance(index, int)
        self.read += 1
        return self.points[index]


def test_each_optimum_is_read_once() -> None:
    model = two_layer_net()
    units = weight_units(model)
    watched = Watched(optima(model, units, [None, None, None]))
    Repulsion(RepulsionConfig()).prunebench_loss_terms(model, units, None, {"optima": watched})
    assert watched.read == 3


def test_an_optimum_without_some_of_the_units_is_refused_with_its_round() -> None:
    model = two_layer_net()
    units = weight_units(model)
    mask = some_mask(units, 30)
    other = some_mask(units, 30, "another")
    with pytest.raises(ContractError, match="the optimum of round 2 was trained without"):
        added(model, units, mask, optima(model, units, [None, other]))
    with pytest.raises(ContractError, match="the optimum of round 1 was trained without"):
        added(model, units, None, optima(model, units, [mask]))
    assert float(direction(optima(model, units, [mask])[0], {"fc1.weight": torch.arange(48)}, mask).norm()) > 0.99


# Plans.


def test_a_run_has_the_term_only_where_there_is_an_earlier_optimum() -> None:
    plan = toy_plan(entries(REPEL), rounds=3)
    runs = [phase for phase in plan.runs if phase.spec.loss]
    by_round = {phase.spec.streams.round: phase for phase in plan.runs}
    assert len(plan.runs) == 4
    assert by_round[1].spec.loss == ()
    assert [len(by_round[r].spec.loss[0].inputs["optima"]) for r in (2, 3, 4)] == [1, 2, 3]
    assert [point.round for point in by_round[4].spec.loss[0].inputs["optima"]] == [0, 1, 2]
    assert len(runs) == 3
    assert by_round[1].key in {phase.key for phase in toy_plan(entries(), rounds=3).runs}


def test_from_the_last_only_one_optimum_is_taken() -> None:
    plan = toy_plan(entries({**REPEL, "against": "last"}), rounds=3)
    by_round = {phase.spec.streams.round: phase.spec.loss for phase in plan.runs}
    assert [by_round[r][0].inputs["optima"][0].round for r in (2, 3, 4)] == [0, 1, 2]
    assert all(len(by_round[r][0].inputs["optima"]) == 1 for r in (2, 3, 4))


def trial(plan: Plan, name: str) -> Any:
    return next(trial for trial in plan.trials if trial.entry == name)


def test_judging_a_ticket_is_the_next_rounds_training() -> None:
    imp = trial(toy_plan(entries(REPEL), rounds=3), "imp")
    judged = {evaluation.round: evaluation.run.key for evaluation in imp.evaluations}
    assert {judged[1], judged[2]} <= imp.finds
    assert judged[3] not in imp.finds


def test_a_reinitialised_ticket_is_repelled_from_the_optima_of_the_chain_that_found_it() -> None:
    reinit = {"name": "reinit", "tickets": "imp", "ticket": "reinit"}
    plan = toy_plan({"entry": [{"name": "imp", "loss": [REPEL]}, reinit]}, rounds=2)

    def of(name: str) -> list[Any]:
        return [plan.phases[e.run.key].spec.loss[0].inputs["optima"] for e in trial(plan, name).evaluations]

    assert of("reinit") == of("imp")
    assert [len(earlier) for earlier in of("reinit")] == [1, 2]


def test_a_dense_network_takes_no_part() -> None:
    plan = toy_plan({"train": {"loss": [REPEL]}})
    assert plan.phases[trial(plan, "dense").evaluations[0].run.key].spec.loss == ()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({**entries(REPEL, densities=[1.0]), "cut": None, "rounds": None}, "never an earlier optimum"),
        ({**entries(REPEL), "rounds": 1}, "one round prunes, so no find run has an earlier optimum"),
        (entries(REPEL, schedule="at-init"), "trains nothing before it prunes"),
        (entries(REPEL, mask_updates=["gradual-magnitude"]), "mask_updates change it"),
    ],
)
def test_what_can_never_repel_is_an_error_of_the_plan(changes: Mapping[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        toy_plan(changes)


def test_one_round_is_enough_to_repel_the_run_that_judges() -> None:
    plan = toy_plan(entries(evaluate={"loss": [REPEL]}), rounds=1)
    (judged,) = trial(plan, "imp").evaluations
    assert [term.use for term in plan.phases[judged.run.key].spec.loss] == ["repulsion"]


@pytest.mark.parametrize("config", [{"strength": 0.0}, {"strength": math.inf}, {"against": "none"}])
def test_settings_that_mean_nothing_are_refused(config: Mapping[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"strength|against"):
        RepulsionConfig.model_validate(config)


def test_the_first_round_needs_nothing_and_the_next_one_optimum() -> None:
    component = Repulsion(RepulsionConfig())
    assert not component.prunebench_needs(toy_request(1)).active
    assert len(component.prunebench_needs(toy_request(3)).inputs["optima"]) == 2
    assert toy_benchmark(entries(REPEL)).entries[-1].find.loss[0].name == "repulsion"


# Runs.


def angles(root: Path, *loss: Mapping[str, Any], between: Literal["successive", "alternate"] = "successive") -> float:
    """The mean angle between optima of rounds of the toy network, on the weights that both have."""
    changes = [entries(*loss), {"train": {"horizon": "200it"}}]
    workshop = Workshop(root, *changes, rounds=4)
    found = [workshop.chain.find(workshop.chain.tickets[r - 1], r) for r in range(1, 5)]
    workshop.make(*(one.end for one in found))
    step = 1 if between == "successive" else 2
    return sum(angle(workshop, a, b) for a, b in zip(found, found[step:], strict=False)) / (4 - step)


def angle(workshop: Workshop, a: Run, b: Run) -> float:
    first, second = workshop.weights(a.end), workshop.weights(b.end)
    assert b.end_mask is not None
    keep = dict(zip(("1.weight", "3.weight"), workshop.mask(b.end_mask).keep, strict=True))
    u, v = (torch.cat([s[n].flatten()[keep[n]] for n in keep]) for s in (first, second))
    # Of the lines, not of the vectors: the term is of squared cosines.
    return math.acos(min(1.0, abs(float(torch.nn.functional.cosine_similarity(u, v, dim=0)))))


def test_repelled_optima_lie_further_apart_than_others_and_attracted_ones_closer(tmp_path: Path) -> None:
    regular = angles(tmp_path)
    repelled, attracted = angles(tmp_path, REPEL), angles(tmp_path, ATTRACT)
    assert repelled > regular + 0.3
    assert attracted < regular


def test_a_repelled_benchmark_runs_to_its_rows(tmp_path: Path) -> None:
    reinit = {"name": "reinit", "tickets": "imp", "ticket": "reinit"}
    outcome = run(tmp_path, {"entry": [{"name": "imp", "loss": [REPEL]}, reinit]})
    assert {row["outcome"] for row in rows(outcome)} == {"ok"}
    assert {row["round"] for row in rows(outcome, entry="reinit")} == {1, 2}


def test_a_ticket_with_a_mask_of_its_own_has_no_past_to_be_compared_with(tmp_path: Path) -> None:
    shuffled = {"name": "shuffled", "tickets": "imp", "ticket": "shuffle-within-layer"}
    outcome = run(tmp_path, {"entry": [{"name": "imp", "loss": [REPEL]}, shuffled]})
    assert {row["outcome"] for row in rows(outcome, entry="shuffled", round=2)} == {"failed"}
    assert {row["outcome"] for row in rows(outcome, entry="imp")} == {"ok"}
