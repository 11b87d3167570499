"""Each contract is run on components that break its laws, and must say so: one that cannot fail protects nobody."""

from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from prunebench import Component, ComponentConfig, Position, hookimpl
from prunebench import testing as t
from prunebench.api.component import BoundComponent, Provider
from prunebench.api.data import Data, Resident
from prunebench.api.masks import Mask, Scores, Units
from prunebench.api.measurements import Analysis, Figure, Measurement
from prunebench.api.random import Rng
from prunebench.api.task import Contribution, MetricInfo, Metrics, Task
from prunebench.api.tickets import Inputs, Pruned, Ticket
from prunebench.api.training import BatchTransform, LossTerm, MaskUpdate
from prunebench.kernels.selection import keep_highest
from prunebench.kernels.weight_units import WeightUnits, layer_weights


class Plugin:
    def __init__(self, config: ComponentConfig) -> None:
        pass


def failing(contract: type[t.Contract], plugin: type) -> set[str]:
    """The laws of a contract that a component breaks."""

    class Tried(contract):  # type: ignore[misc, valid-type]
        component = {"use": "tried"}

        def use(self) -> BoundComponent:
            return BoundComponent(Provider(Component("tried", ComponentConfig, plugin, 1), "tests"), ComponentConfig())

    broken = set()
    for law in [name for name in dir(Tried) if name.startswith("test_")]:
        try:
            getattr(Tried(), law)()
        except Exception:  # a law that cannot even be tried is broken
            broken.add(law)
    return broken


class Magnitude(Plugin):
    @hookimpl
    def prunebench_score(self, units: Units) -> Scores:
        return units.reduce(lambda name, weight: weight.abs())


class ForgetsAUnit(Plugin):
    @hookimpl
    def prunebench_score(self, units: Units) -> Scores:
        return Scores(tuple(values[1:] for values in units.reduce(lambda name, weight: weight.abs()).values))


class DividesByZero(Plugin):
    @hookimpl
    def prunebench_score(self, units: Units) -> Scores:
        return units.reduce(lambda name, weight: weight.abs() / weight.abs().max())


class ScalesTheWeights(Plugin):
    @hookimpl
    def prunebench_score(self, units: Units) -> Scores:
        return units.reduce(lambda name, weight: weight.mul_(2.0).abs())


class UsesTheGlobalGenerator(Plugin):
    @hookimpl
    def prunebench_score(self, units: Units) -> Scores:
        return units.reduce(lambda name, weight: torch.rand_like(weight))


class LooksAtTheTest(Plugin):
    @hookimpl
    def prunebench_score(self, units: Units, data: Data) -> Scores:
        size = data["test"].size
        return units.reduce(lambda name, weight: weight.abs() * size)


TRAIN = "test_of_the_data_only_the_training_split_is_looked_at"
SCORES = {
    Magnitude: set(),
    LooksAtTheTest: {TRAIN},
    ForgetsAUnit: {"test_every_unit_has_one_score_and_none_is_nan"},
    # NaN is not even equal to itself.
    DividesByZero: {"test_every_unit_has_one_score_and_none_is_nan", "test_equal_streams_give_equal_scores_to_the_bit"},
    ScalesTheWeights: {"test_scoring_changes_nothing", "test_equal_streams_give_equal_scores_to_the_bit"},
    UsesTheGlobalGenerator: {
        "test_every_unit_has_one_score_and_none_is_nan",
        "test_scoring_changes_nothing",
        "test_equal_streams_give_equal_scores_to_the_bit",
        TRAIN,
    },
}


class Highest(Plugin):
    @hookimpl
    def prunebench_select(self, scores: Scores, mask: Mask, count: int) -> Mask:
        return Mask(keep_highest(scores.values, mask.keep, count))


class Threshold(Plugin):
    @hookimpl
    def prunebench_select(self, scores: Scores, units: Units, mask: Mask, count: int) -> Mask:
        flat = scores.flat()
        least = flat[mask.flat()].sort(descending=True).values[count - 1]
        return Mask.from_flat((flat > least) & mask.flat(), units.layers)


class Revives(Plugin):
    @hookimpl
    def prunebench_select(self, scores: Scores, count: int) -> Mask:
        return Mask(keep_highest(scores.values, None, count))


class LastOfATie(Plugin):
    @hookimpl
    def prunebench_select(self, scores: Scores, units: Units, mask: Mask, count: int) -> Mask:
        kept = keep_highest([scores.flat().flip(0)], [mask.flat().flip(0)], count)[0].flip(0)
        return Mask.from_flat(kept, units.layers)


class SpoilsTheScores(Highest):
    @hookimpl
    def prunebench_select(self, scores: Scores, mask: Mask, count: int) -> Mask:
        chosen = Mask(keep_highest(scores.values, mask.keep, count))
        scores.values[0].zero_()
        return chosen


COUNT = "test_the_count_is_exact_and_nothing_is_revived"
CHAIN = "test_the_counts_of_a_chain_can_be_selected_round_after_round"
TIES = "test_ties_within_a_layer_fall_to_the_lower_unit"
SELECTIONS = {
    Highest: set(),
    Threshold: {COUNT, CHAIN},
    Revives: {COUNT},
    LastOfATie: {TIES},
    SpoilsTheScores: {COUNT, CHAIN, TIES, "test_equal_streams_give_equal_masks"},
}


class Doubled(Plugin):
    """The largest weights stay, twice as large."""

    @hookimpl
    def prunebench_prune(self, model: nn.Module, units: Units, mask: Mask, count: int) -> Pruned:
        kept = Mask(keep_highest(units.reduce(lambda name, weight: weight.abs()).values, mask.keep, count))
        keep = units.expand(kept)
        return Pruned(kept, {name: 2 * model.get_parameter(name).detach() * keep[name] for name in keep})


class KeepsOneMore(Doubled):
    @hookimpl
    def prunebench_prune(self, model: nn.Module, units: Units, mask: Mask, count: int) -> Pruned:
        return super().prunebench_prune(model, units, mask, min(mask.count, count + 1))


class RevivesTheSmallest(Plugin):
    @hookimpl
    def prunebench_prune(self, units: Units, count: int) -> Pruned:
        return Pruned(Mask(keep_highest(units.reduce(lambda name, weight: -weight.abs()).values, None, count)), {})


class LeavesWhatIsPruned(Doubled):
    @hookimpl
    def prunebench_prune(self, model: nn.Module, units: Units, mask: Mask, count: int) -> Pruned:
        kept = super().prunebench_prune(model, units, mask, count).mask
        return Pruned(kept, {name: model.get_parameter(name).detach() for name in units.expand(kept)})


class ChangesABias(Doubled):
    @hookimpl
    def prunebench_prune(self, model: nn.Module, units: Units, mask: Mask, count: int) -> Pruned:
        pruned = super().prunebench_prune(model, units, mask, count)
        return replace(pruned, weights={**pruned.weights, "fc1.bias": torch.zeros(6)})


class Noisier(Doubled):
    @hookimpl
    def prunebench_prune(self, model: nn.Module, units: Units, mask: Mask, count: int) -> Pruned:
        pruned = super().prunebench_prune(model, units, mask, count)
        generator = torch.Generator().manual_seed(torch.Generator().seed() % 2**31)
        noisy = {name: w * torch.rand(w.shape, generator=generator) for name, w in pruned.weights.items()}
        return replace(pruned, weights=noisy)


class FitsTheTest(Doubled):
    @hookimpl
    def prunebench_prune(self, model: nn.Module, units: Units, mask: Mask, count: int, data: Data) -> Pruned:
        assert data["test"].size
        return super().prunebench_prune(model, units, mask, count)


PRUNINGS = {
    Doubled: set(),
    KeepsOneMore: {COUNT},
    RevivesTheSmallest: {COUNT},
    LeavesWhatIsPruned: {"test_pruned_weights_are_exactly_zero"},
    ChangesABias: {"test_only_declared_tensors_change_and_keep_their_shape_and_type"},
    Noisier: {"test_equal_streams_give_equal_answers_to_the_bit"},
    FitsTheTest: {TRAIN},
}


class Untouched(Plugin):
    @hookimpl
    def prunebench_ticket(self, ticket: Ticket) -> Ticket:
        return ticket


class NoiseInPlace(Plugin):
    @hookimpl
    def prunebench_ticket(self, ticket: Ticket, rng: Rng) -> Ticket:
        for weight in ticket.weights.values():
            weight.add_(torch.randn(weight.shape, generator=rng.torch()))
        return ticket


class LosesUnits(Plugin):
    @hookimpl
    def prunebench_ticket(self, ticket: Ticket) -> Ticket:
        mask = ticket.mask
        return ticket if mask is None else replace(ticket, mask=Mask(tuple(keep & False for keep in mask.keep)))


class CalibratesOnValidation(Plugin):
    @hookimpl
    def prunebench_ticket(self, ticket: Ticket, data: Data) -> Ticket:
        assert data["valid"].size
        return ticket


GIVEN = "test_the_given_tensors_are_not_changed"
TICKETS = {
    Untouched: set(),
    NoiseInPlace: {GIVEN},
    CalibratesOnValidation: {TRAIN},
    LosesUnits: {"test_the_number_of_units_and_the_shapes_stay"},
}


class Normal(Plugin):
    @hookimpl
    def prunebench_initialise(self, model: nn.Module, rng: Rng) -> nn.Module:
        generator = rng.torch()
        for parameter in model.parameters():
            nn.init.normal_(parameter, generator=generator)
        return model


class ForgetsTheStream(Plugin):
    @hookimpl
    def prunebench_initialise(self, model: nn.Module) -> nn.Module:
        for parameter in model.parameters():
            nn.init.constant_(parameter, 0.1)
        return model


class AddsToWhatIsThere(Plugin):
    @hookimpl
    def prunebench_initialise(self, model: nn.Module, rng: Rng) -> nn.Module:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(torch.randn(parameter.shape, generator=rng.torch()))
        return model


INITIALISERS = {
    Normal: set(),
    ForgetsTheStream: {"test_other_streams_give_other_weights"},
    AddsToWhatIsThere: {"test_what_the_weights_were_before_does_not_matter"},
}


class SGD(Plugin):
    @hookimpl
    def prunebench_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)


class ForgetsBiases(Plugin):
    @hookimpl
    def prunebench_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        return torch.optim.SGD([p for p in model.parameters() if p.ndim > 1], lr=0.1)


class Drifting(torch.optim.SGD):
    """Pulls every weight towards 0.1: no masked gradient can hold it at 0."""

    def step(self, closure: Any = None) -> Any:
        super().step(closure)
        for group in self.param_groups:
            for parameter in group["params"]:
                parameter.data.add_(0.1 - parameter.data, alpha=1e-3 * group["lr"])


class Drifts(Plugin):
    @hookimpl
    def prunebench_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        return Drifting(model.parameters(), lr=0.1)


class Counting(torch.optim.SGD):
    """Slows down with a count that its state_dict lacks."""

    steps = 0

    def step(self, closure: Any = None) -> Any:
        self.steps += 1
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    parameter.grad.div_(self.steps)
        return super().step(closure)


class Counts(Plugin):
    @hookimpl
    def prunebench_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        return Counting(model.parameters(), lr=0.1)


OPTIMIZERS = {
    SGD: set(),
    ForgetsBiases: {"test_every_parameter_is_in_one_group"},
    Drifts: {"test_masked_weights_stay_exactly_zero"},
    Counts: {"test_a_resumed_run_is_equal_to_the_bit"},
}


class Linear(Plugin):
    @hookimpl
    def prunebench_lr(self, position: int, horizon: int) -> float:
        return 1 - position / horizon


class BelowZero(Plugin):
    @hookimpl
    def prunebench_lr(self, position: int, horizon: int) -> float:
        return 0.5 - position / horizon


class WrapsIntoNothing(Plugin):
    @hookimpl(wrapper=True)
    def prunebench_lr(self) -> Generator[None, float, float]:
        rate = yield
        return rate * 0.0


RATES = {
    Linear: set(),
    BelowZero: {"test_multipliers_are_finite_and_never_negative"},
    WrapsIntoNothing: {"test_some_of_the_run_learns"},
}


class AllWeights(Plugin):
    @hookimpl
    def prunebench_units(self, model: nn.Module) -> Units:
        return WeightUnits(model, layer_weights(model))


class Snapshot(WeightUnits):
    def __init__(self, model: nn.Module) -> None:
        super().__init__(model, layer_weights(model))
        self._scored = super().reduce(lambda name, weight: weight.clone())

    def reduce(self, score: Callable[[str, Tensor], Tensor]) -> Scores:
        return self._scored

    def shrink(self, model: nn.Module, mask: Mask) -> nn.Module:
        return model


class OldWeights(Plugin):
    @hookimpl
    def prunebench_units(self, model: nn.Module) -> Units:
        return Snapshot(model)


UNITS = {
    AllWeights: set(),
    OldWeights: {
        "test_scores_follow_the_weights_as_they_are_when_scored",
        "test_the_shrunk_network_computes_what_the_masked_one_does",
    },
}


class Toy(t.ToyData):
    pass


class AugmentsTheTest(Plugin):
    @hookimpl
    def prunebench_data(self, rng: Rng) -> Data:
        data = t.ToyData().prunebench_data()
        test = data["test"]
        assert isinstance(test, Resident)
        noisy = replace(test, augment=lambda images, generator: images.roll(1, 3))
        return replace(
            data,
            splits={**data.splits, "test": noisy},
            info=replace(data.info, digest=rng.name, sizes={**data.info.sizes, "valid": 25}),
            again=lambda other: replace(data, splits={**data.splits, "train": data["valid"]}),
        )


DATA = {
    Toy: set(),
    AugmentsTheTest: {
        "test_only_training_examples_are_augmented",
        "test_the_sizes_are_those_of_the_splits",
        "test_the_digest_is_of_the_source_and_not_of_the_split",
        "test_divided_again_it_is_what_a_new_call_gives",
    },
}


class Net(Plugin):
    @hookimpl
    def prunebench_model(self) -> nn.Module:
        return t.two_layer_net()


class Wide(Plugin):
    @hookimpl
    def prunebench_model(self) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(8, 4))


class Toyless(Net):
    def prunebench_model(self) -> nn.Module:
        return t.two_layer_net()


class DropsAlways(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.net = t.two_layer_net()

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.net(nn.functional.dropout(x, 0.5, training=True))
        return logits


class Noisy(Plugin):
    @hookimpl
    def prunebench_model(self) -> nn.Module:
        return DropsAlways()


MODELS = {
    Net: set(),
    Wide: {"test_inputs_become_finite_outputs"},
    Noisy: {"test_equal_weights_give_equal_outputs_in_evaluation"},
}


class L2(Plugin):
    @hookimpl
    def prunebench_loss_terms(self, model: nn.Module) -> list[LossTerm]:
        def gradient() -> None:
            for parameter in model.parameters():
                assert parameter.grad is not None
                parameter.grad.add_(parameter, alpha=0.1)

        def loss(x: Tensor, logits: Tensor, y: Tensor) -> Tensor:
            return torch.stack([p.square().sum() for p in model.parameters()]).sum()

        return [LossTerm(loss=loss), LossTerm(gradient=gradient)]


class Overwrites(Plugin):
    @hookimpl
    def prunebench_loss_terms(self, model: nn.Module) -> list[LossTerm]:
        def gradient() -> None:
            for parameter in model.parameters():
                assert parameter.grad is not None
                parameter.grad.copy_(parameter)

        return [LossTerm(gradient=gradient)]


class Empty(Plugin):
    @hookimpl
    def prunebench_loss_terms(self) -> list[LossTerm]:
        return [LossTerm()]


ADD = "test_terms_add_to_the_gradients_that_are_there"
FINITE = "test_terms_add_finite_gradients_and_leave_the_weights_alone"
LOSSES = {L2: set(), Overwrites: {ADD}, Empty: {ADD, FINITE}}


class Never(Plugin):
    @hookimpl
    def prunebench_mask_updates(self) -> list[MaskUpdate]:
        return [MaskUpdate(due=lambda step: False, update=lambda step, mask, gradients: mask)]


class GrowsOne(Plugin):
    @hookimpl
    def prunebench_mask_updates(self, units: Units) -> list[MaskUpdate]:
        def update(step: int, mask: Mask, gradients: Any) -> Mask:
            flat = mask.flat()
            flat[int((~flat).nonzero()[0])] = True
            return Mask.from_flat(flat, units.layers)

        return [MaskUpdate(due=lambda step: step == 7, update=update)]


class Draws(Plugin):
    @hookimpl
    def prunebench_mask_updates(self, units: Units, count: int) -> list[MaskUpdate]:
        def update(step: int, mask: Mask, gradients: Any) -> Mask:
            keep = torch.zeros(units.count, dtype=torch.bool)
            keep[torch.randperm(units.count)[:count]] = True
            return Mask.from_flat(keep, units.layers)

        return [MaskUpdate(due=lambda step: step == 7, update=update)]


class Remembers(Plugin):
    """Counts its calls in a tensor that the run keeps."""

    def start(self) -> tuple[Tensor, dict[str, Tensor]]:
        calls = torch.zeros((), dtype=torch.int64)
        return calls, {"calls": calls}

    @hookimpl
    def prunebench_mask_updates(self, units: Units, count: int) -> list[MaskUpdate]:
        calls, kept = self.start()

        def observe(step: int, mask: Mask, gradients: Any) -> None:
            calls.add_(1)

        def update(step: int, mask: Mask, gradients: Any) -> Mask:
            keep = torch.arange(units.count).roll(int(calls)) < count
            return Mask.from_flat(keep, units.layers)

        return [MaskUpdate(lambda step: step % 9 == 0, update, observe, kept)]


class RemembersElsewhere(Remembers):
    def start(self) -> tuple[Tensor, dict[str, Tensor]]:
        return super().start()[0], {}


class ScalesGradients(Plugin):
    @hookimpl
    def prunebench_mask_updates(self) -> list[MaskUpdate]:
        def observe(step: int, mask: Mask, gradients: Any) -> None:
            gradients["fc1.weight"].mul_(2)

        return [MaskUpdate(lambda step: False, lambda step, mask, gradients: mask, observe)]


LAST_COUNT = "test_masks_keep_their_shape_and_the_last_has_the_exact_count"
UPDATES = {
    Never: set(),
    GrowsOne: {"test_masks_keep_their_shape_and_the_last_has_the_exact_count"},
    Draws: {"test_equal_streams_give_equal_masks", "test_a_resumed_run_has_the_same_masks"},
    Remembers: set(),
    RemembersElsewhere: {"test_a_resumed_run_has_the_same_masks"},
    ScalesGradients: {LAST_COUNT, "test_equal_streams_give_equal_masks", "test_a_resumed_run_has_the_same_masks"},
}


class Halved(Plugin):
    @hookimpl
    def prunebench_transforms(self) -> list[BatchTransform]:
        return [lambda step, inputs, targets: (inputs / 2, targets)]


class DropsAnExample(Plugin):
    @hookimpl
    def prunebench_transforms(self) -> list[BatchTransform]:
        return [lambda step, inputs, targets: (inputs[1:], targets[1:])]


class Noisy(Plugin):
    @hookimpl
    def prunebench_transforms(self) -> list[BatchTransform]:
        return [lambda step, inputs, targets: (inputs + torch.rand(()), targets)]


class Counts(Plugin):
    @hookimpl
    def prunebench_transforms(self) -> list[BatchTransform]:
        calls: list[int] = []

        def transform(step: int, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            calls.append(step)
            return inputs + len(calls), targets

        return [transform]


class Idle(Plugin):
    @hookimpl
    def prunebench_transforms(self) -> list[BatchTransform]:
        return []


STREAM = "test_what_it_draws_is_of_its_stream_and_the_step"
TRANSFORMS = {
    Halved: set(),
    DropsAnExample: {"test_the_network_and_the_objective_take_what_it_makes"},
    Noisy: {STREAM},
    Counts: {STREAM},
    Idle: {"test_it_does_something"},
}


class CountsTickets(Plugin):
    @hookimpl
    def prunebench_analyse(self, inputs: Inputs) -> Analysis:
        return Analysis((Measurement("tickets", float(len(inputs["tickets"]))),))


class SaysItTwice(Plugin):
    @hookimpl
    def prunebench_analyse(self) -> Analysis:
        return Analysis((Measurement("a", 1.0), Measurement("a", 2.0)), (Figure("f", "<svg></svg>", "No full stop"),))


class SpoilsItsInputs(Plugin):
    @hookimpl
    def prunebench_analyse(self, inputs: Inputs) -> Analysis:
        for optimum in inputs["tickets"]:
            for weight in optimum.weights.values():
                weight.zero_()
        return Analysis()


ANALYSES = {
    CountsTickets: set(),
    SaysItTwice: {"test_every_measurement_is_named_and_placed_once", "test_figures_are_svg_with_a_caption"},
    SpoilsItsInputs: {"test_equal_inputs_give_equal_analyses_and_are_not_changed"},
}


def regression(**changes: Any) -> Callable[[], Task]:
    """A task of the toy data: the mean squared distance of the outputs from one-hot targets."""

    def distances(outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs - nn.functional.one_hot(targets, 3)).square().sum(1)

    parts: dict[str, Any] = {
        "objective": lambda outputs, targets: distances(outputs, targets).mean(),
        "contribution": lambda outputs, targets: Contribution(
            {"squares": distances(outputs, targets).sum(), "examples": len(targets)}
        ),
        "values": lambda totals: {"loss": totals["squares"] / totals["examples"]},
        "example": lambda info: torch.zeros(1, *info.shape),
    }
    return lambda: Task(**{**parts, **changes})


class Regression(Plugin):
    made = staticmethod(regression())

    @hookimpl
    def prunebench_metrics(self) -> Metrics:
        return {"loss": MetricInfo(unit="squares", higher=False, low=0)}

    @hookimpl
    def prunebench_task(self) -> Task:
        return self.made()


class SumsTheObjective(Regression):
    made = staticmethod(regression(objective=lambda o, y: (o - nn.functional.one_hot(y, 3)).square().sum()))


class MeansOfMeans(Regression):
    made = staticmethod(
        regression(
            contribution=lambda o, y: Contribution(
                {"squares": (o - nn.functional.one_hot(y, 3)).square().sum(1).mean(), "examples": 1}
            )
        )
    )


class WrongExample(Regression):
    made = staticmethod(regression(example=lambda info: torch.zeros(1, 3)))


class ForgetsTheLoss(Regression):
    @hookimpl
    def prunebench_metrics(self) -> Metrics:
        return {"error": MetricInfo(unit="squares", higher=False, low=0)}


class OutOfRange(Regression):
    @hookimpl
    def prunebench_metrics(self) -> Metrics:
        return {"loss": MetricInfo(unit="squares", higher=False, low=0, high=1e-6)}


class CorrectButNotPrimary(Regression):
    made = staticmethod(
        regression(
            contribution=lambda o, y: Contribution(
                {"squares": (o - nn.functional.one_hot(y, 3)).square().sum(), "examples": len(y)}, o.argmax(1) == y
            )
        )
    )


EVERY = "test_every_metric_is_measured_and_lies_in_its_range"
PRIMARY = "test_the_primary_metric_is_the_mean_of_what_is_correct"
TASKS = {
    Regression: set(),
    SumsTheObjective: {"test_the_loss_that_is_measured_is_the_mean_of_the_objective"},
    # The mean over a small last batch counts as much as that over a full one.
    MeansOfMeans: {"test_the_size_of_batches_makes_no_difference_but_for_rounding"},
    WrongExample: {"test_a_batch_keeps_its_examples_and_is_like_the_example"},
    ForgetsTheLoss: {"test_metrics_read_as_they_should", EVERY},
    OutOfRange: {EVERY},
    CorrectButNotPrimary: {PRIMARY},
}

CASES: list[tuple[type[t.Contract], dict[Any, set[str]]]] = [
    (t.ScoreContract, SCORES),
    (t.SelectContract, SELECTIONS),
    (t.PruneContract, PRUNINGS),
    (t.TicketContract, TICKETS),
    (t.InitialiseContract, INITIALISERS),
    (t.OptimizerContract, OPTIMIZERS),
    (t.LrContract, RATES),
    (t.UnitsContract, UNITS),
    (t.DataContract, DATA),
    (t.TaskContract, TASKS),
    (t.ModelContract, MODELS),
    (t.LossContract, LOSSES),
    (t.MaskUpdateContract, UPDATES),
    (t.TransformContract, TRANSFORMS),
    (t.AnalyseContract, ANALYSES),
]


@pytest.mark.parametrize(
    ("contract", "plugin", "broken"),
    [
        pytest.param(contract, plugin, broken, id=f"{contract.__name__}-{plugin.__name__}")
        for contract, cases in CASES
        for plugin, broken in cases.items()
    ],
)
def test_a_contract_fails_on_exactly_the_laws_that_a_component_breaks(
    contract: type[t.Contract], plugin: type, broken: set[str]
) -> None:
    assert failing(contract, plugin) == broken


def test_a_component_without_the_hook_does_not_fit() -> None:
    assert "test_the_component_fits_its_slot" in failing(t.ModelContract, Toyless)


def test_toy_data_is_the_same_each_time_and_a_linear_classifier_tells_its_classes_apart() -> None:
    first, second = t.ToyData().prunebench_data(), t.ToyData().prunebench_data()
    assert first.info == second.info
    train, test = first["train"], first["test"]
    assert isinstance(train, Resident)
    assert isinstance(test, Resident)
    images, labels = train.images.flatten(1).float(), nn.functional.one_hot(train.labels).float()
    weights = torch.linalg.lstsq(images, labels).solution
    assert torch.equal((test.images.flatten(1).float() @ weights).argmax(1), test.labels)


def test_the_toy_network_has_48_and_18_prunable_weights_and_leaves_the_global_generator_alone() -> None:
    with t.no_global_randomness():
        first, second = t.two_layer_net(), t.two_layer_net()
    assert t.same(t.state(first), t.state(second))
    assert [layer.count for layer in t.weight_units(first).layers] == [48, 18]
    assert [layer.name for layer in t.weight_units(first).layers] == ["fc1.weight", "fc2.weight"]


def test_some_mask_is_a_subset_of_exact_count_and_another_for_each_name() -> None:
    units = t.weight_units(t.two_layer_net())
    large = t.some_mask(units, 40)
    small = t.some_mask(units, 10, of=large)
    assert (large.count, small.count) == (40, 10)
    assert small.issubset(large)
    assert not torch.equal(large.flat(), t.some_mask(units, 40, "another").flat())


@pytest.mark.parametrize("draw", [lambda: torch.rand(1), lambda: __import__("random").random()])
def test_a_draw_from_a_global_generator_is_seen(draw: Callable[[], object]) -> None:
    with pytest.raises(AssertionError, match="was used"), t.no_global_randomness():
        draw()


def test_a_late_ticket_is_among_those_that_edits_are_tried_on() -> None:
    assert Position.parse("40it") in {ticket.start for ticket in t.TicketContract().tickets()}


def test_the_fixtures_are_the_toys(toy_data: Data, two_layer_net: nn.Sequential) -> None:
    assert toy_data.info == t.ToyData().prunebench_data().info
    assert t.same(t.state(two_layer_net), t.state(t.two_layer_net()))
