# ruff: noqa: D102 (the name of a law is the sentence that says it)
"""Contracts of what trains: optimizers, learning rates, loss terms, mask updates."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from prunebench.api.data import Gather
from prunebench.api.masks import Mask, Units
from prunebench.api.training import BatchTransform, LossTerm, MaskUpdate
from prunebench.components.learning_rate import multiplier
from prunebench.engine.masking import MaskedParameters
from prunebench.engine.pruned_values import kept_by
from prunebench.testing.contract import Contract, installed
from prunebench.testing.data import some_mask
from prunebench.testing.states import no_global_randomness, same, state


class OptimizerContract(Contract):
    """Laws of prunebench_optimizer."""

    slot = "optimizer"

    def optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """The component's optimizer."""
        optimizer: torch.optim.Optimizer = self.hooks().prunebench_optimizer(model=model)
        return optimizer

    def train(
        self, model: nn.Module, optimizer: torch.optim.Optimizer, steps: range, keep: Mapping[str, Tensor]
    ) -> None:
        """Steps on batches of 8; gradients are masked before each, as the engine does."""
        split, task = self.data()["train"], self.task()
        gathers = [Gather((torch.arange(8) + 8 * step) % split.size) for step in steps]
        for batch in split.batches(gathers):
            inputs, targets = task.batch(*batch)
            optimizer.zero_grad()
            torch.autograd.backward(task.objective(model(inputs), targets))
            for name, parameter in model.named_parameters():
                if name in keep and parameter.grad is not None:
                    parameter.grad.masked_fill_(~keep[name], 0.0)
            optimizer.step()

    def test_every_parameter_is_in_one_group(self) -> None:
        model = self.model()
        held = [p for group in self.optimizer(model).param_groups for p in group["params"]]
        assert len(held) == len({id(p) for p in held})
        assert {id(p) for p in held} == {id(p) for p in model.parameters()}

    def test_masked_weights_stay_exactly_zero(self) -> None:
        model = self.model()
        units = self.units(model)
        keep = units.expand(some_mask(units, units.count // 3))
        with torch.no_grad():
            for name, kept in keep.items():
                model.get_parameter(name).masked_fill_(~kept, 0.0)
        optimizer = self.optimizer(model)
        for start in range(0, 1_000, 250):
            self.train(model, optimizer, range(start, start + 250), keep)
            for name, kept in keep.items():
                parameter = model.get_parameter(name)
                assert not bool(parameter[~kept].any()), f"{name}: a masked weight is not 0 after {start + 250} steps"
                assert bool(parameter[kept].any())
                for key, value in optimizer.state[parameter].items():
                    if isinstance(value, Tensor) and value.shape == kept.shape:
                        assert not bool(value[~kept].any()), f"{name}: {key} is not 0 off the mask"

    @torch.no_grad()
    def loss(self, model: nn.Module) -> float:
        """The mean loss over the training examples."""
        split, task = self.data()["train"], self.task()
        (batch,) = split.batches([Gather(torch.arange(split.size))])
        inputs, targets = task.batch(*batch)
        return float(task.objective(model(inputs), targets))

    def test_training_lowers_the_loss(self) -> None:
        model = self.model()
        before = self.loss(model)
        self.train(model, self.optimizer(model), range(200), {})
        assert self.loss(model) < before

    def test_a_learning_rate_of_zero_changes_nothing(self) -> None:
        model = self.model()
        before = state(model)
        optimizer = self.optimizer(model)
        for group in optimizer.param_groups:
            assert group["lr"] > 0
            group["lr"] = 0.0
        self.train(model, optimizer, range(3), {})
        assert same(before, state(model))

    def test_a_resumed_run_is_equal_to_the_bit(self) -> None:
        model = self.model()
        optimizer = self.optimizer(model)
        self.train(model, optimizer, range(10), {})
        resumed = self.model()
        resumed.load_state_dict(state(model))
        again = self.optimizer(resumed)
        again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        self.train(model, optimizer, range(10, 20), {})
        self.train(resumed, again, range(10, 20), {})
        assert same(state(model), state(resumed))


class LrContract(Contract):
    """Laws of prunebench_lr; a wrapper is tried around a constant 1. Positions are stated in iterations."""

    slot = "lr"
    horizons: ClassVar[Sequence[int]] = (1, 10, 1_000)

    def curve(self, horizon: int) -> list[float]:
        """The multiplier at every position up to the horizon."""
        use = self.use()
        implementation: Any = use.build()
        wraps = implementation.prunebench_lr.prunebench_impl["wrapper"]
        rate = multiplier([installed().use("constant"), use] if wraps else [use])
        return [rate(at, horizon) for at in range(horizon + 1)]

    def test_multipliers_are_finite_and_never_negative(self) -> None:
        for horizon in self.horizons:
            assert all(isinstance(m, float) and math.isfinite(m) and m >= 0 for m in self.curve(horizon))

    def test_equal_positions_have_equal_multipliers(self) -> None:
        assert self.curve(self.horizons[-1]) == self.curve(self.horizons[-1])

    def test_some_of_the_run_learns(self) -> None:
        assert max(self.curve(self.horizons[-1])) > 0


class LossContract(Contract):
    """Laws of prunebench_loss_terms."""

    slot = "loss"

    def terms(self, model: nn.Module, mask: Mask | None) -> list[LossTerm]:
        """The component's terms."""
        answers = self.hooks().prunebench_loss_terms(
            model=model,
            data=self.data(),
            task=self.task(),
            units=self.units(model),
            mask=mask,
            inputs=self.inputs(),
            rng=self.rng(),
        )
        return [term for answer in answers for term in answer]

    def masks(self) -> list[Mask | None]:
        """Masks to train under."""
        units = self.units(self.model())
        return [None, some_mask(units, units.count // 2)]

    def gradients(self, mask: Mask | None, times: int) -> dict[str, Tensor]:
        """What the terms leave in the gradients of a fresh network, applied `times` times."""
        model = self.model()
        before = state(model)
        (batch,) = self.data()["train"].batches([Gather(torch.arange(8))])
        taken, targets = self.task().batch(*batch)
        for parameter in model.parameters():
            parameter.grad = torch.zeros_like(parameter)
        terms = self.terms(model, mask)
        for _ in range(times):
            outputs = model(taken)
            for term in terms:
                assert any((term.loss, term.gradient, term.proximal)), "a term does something"
                if term.loss is not None:
                    loss = term.loss(taken, outputs, targets)
                    assert loss.ndim == 0
                    assert bool(loss.isfinite())
                    if loss.requires_grad:
                        torch.autograd.backward(loss, retain_graph=True)
                if term.gradient is not None:
                    with torch.no_grad():
                        term.gradient()
        assert same(before, state(model)), "a term changed the weights"
        return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}

    def test_terms_add_finite_gradients_and_leave_the_weights_alone(self) -> None:
        for mask in self.masks():
            with no_global_randomness():
                gradients = self.gradients(mask, 1)
            assert all(bool(gradient.isfinite().all()) for gradient in gradients.values())

    def test_terms_add_to_the_gradients_that_are_there(self) -> None:
        for mask in self.masks():
            once, twice = self.gradients(mask, 1), self.gradients(mask, 2)
            assert all(torch.allclose(twice[name], 2 * once[name], rtol=1e-4, atol=1e-7) for name in once)


class MaskUpdateContract(Contract):
    """Laws of prunebench_mask_updates."""

    slot = "mask_updates"
    horizon: ClassVar[int] = 200
    count: ClassVar[int] = 30

    def start(self, units: Units) -> Mask:
        """The mask that the run starts from."""
        return some_mask(units, self.count)

    def updates(self, model: nn.Module, units: Units) -> list[MaskUpdate]:
        """The component's rules, for a run from its start."""
        answers = self.hooks().prunebench_mask_updates(
            model=model,
            units=units,
            mask=self.start(units),
            count=self.count,
            horizon=self.horizon,
            rng=self.rng(),
        )
        return [update for answer in answers for update in answer]

    def run(self, resumed: int | None = None) -> tuple[Units, list[Mask]]:
        """The mask after each change in a run with made-up gradients.

        Args:
            resumed: a step before which the rules are built anew, as after an interruption.
        """
        model = self.model()
        units = self.units(model)
        updates, masks = self.updates(model, units), [self.start(units)]
        masked = MaskedParameters(model, units, masks[0])
        masked.zero_weights()
        pruned = kept_by(updates, masked)
        for step in range(self.horizon):
            if step == resumed:
                updates = _again(updates, self.updates(model, units))
            generator = self.rng(1).torch(step)
            gradients = {n: torch.randn(p.shape, generator=generator) for n, p in model.named_parameters()}
            if pruned is not None:
                pruned.reveal(masked)
            for update in updates:
                self._ask(update, step, masks, gradients)
            masked = MaskedParameters(model, units, masks[-1])
            keep = units.expand(masks[-1])
            if pruned is not None and pruned.kind == "frozen":
                pruned.hide(masked)
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if name in keep:
                        parameter.sub_(0.01 * gradients[name])
            if pruned is not None and pruned.kind == "trained":
                pruned.hide(masked)
            masked.zero_weights()
        return units, masks

    def _ask(self, update: MaskUpdate, step: int, masks: list[Mask], gradients: dict[str, Tensor]) -> None:
        """One rule in one step; appends the mask if it makes another."""
        flat, trained = masks[-1].flat(), update.pruned == "trained"
        given = {name: gradient.clone() for name, gradient in gradients.items()}
        if update.observe is not None:
            update.observe(step, masks[-1], gradients)
        assert trained or same(given, gradients), "the rule changed gradients that no pruned weight is trained by"
        if not update.due(step):
            return
        given = {name: gradient.clone() for name, gradient in gradients.items()}
        masks.append(update.update(step, masks[-1], gradients))
        assert torch.equal(flat, masks[-2].flat()), "the update changed the mask that it was given"
        assert same(given, gradients), "the update changed the gradients"

    def test_masks_keep_their_shape_and_the_last_has_the_exact_count(self) -> None:
        units, masks = self.run()
        for mask in masks:
            assert [keep.shape for keep in mask.keep] == [(layer.count,) for layer in units.layers]
            assert all(keep.dtype == torch.bool for keep in mask.keep)
        assert masks[-1].count == self.count

    def test_equal_streams_give_equal_masks(self) -> None:
        with no_global_randomness():
            first, second = self.run()[1], self.run()[1]
        assert [mask.flat().tolist() for mask in first] == [mask.flat().tolist() for mask in second]

    def test_a_resumed_run_has_the_same_masks(self) -> None:
        at_once = [mask.flat().tolist() for mask in self.run()[1]]
        for step in (1, self.horizon // 3):
            assert at_once == [mask.flat().tolist() for mask in self.run(step)[1]], (
                "rules that were built anew go on otherwise: what they keep between steps belongs into `state`"
            )


def _again(before: Sequence[MaskUpdate], after: list[MaskUpdate]) -> list[MaskUpdate]:
    """Rules that were built anew, with the state of those before."""
    for old, new in zip(before, after, strict=True):
        for name, value in old.state.items():
            new.state[name].copy_(value)
    return after


class TransformContract(Contract):
    """Laws of prunebench_transforms."""

    slot = "transforms"
    batch: ClassVar[int] = 8

    def transforms(self) -> list[BatchTransform]:
        """The component's transforms."""
        answers = self.hooks().prunebench_transforms(
            data_info=self.data().info, batch=self.batch, horizon=100, rng=self.rng()
        )
        return [transform for answer in answers for transform in answer]

    def changed(self, steps: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """What the network sees of one batch in some steps."""
        split, task, transforms = self.data()["train"], self.task(), self.transforms()
        found = []
        for step in steps:
            (batch,) = split.batches([Gather(torch.arange(self.batch))])
            inputs, targets = task.batch(*batch)
            for transform in transforms:
                inputs, targets = transform(step, inputs, targets)
            found.append((inputs, targets))
        return found

    def test_the_network_and_the_objective_take_what_it_makes(self) -> None:
        (batch,) = self.data()["train"].batches([Gather(torch.arange(self.batch))])
        for inputs, targets in self.changed(range(20)):
            assert inputs.shape == batch[0].shape
            assert inputs.dtype == batch[0].dtype
            assert len(targets) == self.batch
            assert bool(self.task().objective(self.model()(inputs), targets).isfinite())

    def test_what_it_draws_is_of_its_stream_and_the_step(self) -> None:
        with no_global_randomness():
            forth, back = self.changed(range(5)), self.changed(range(4, -1, -1))
        for one, other in zip(forth, reversed(back), strict=True):
            assert torch.equal(one[0], other[0])
            assert torch.equal(one[1], other[1])

    def test_it_does_something(self) -> None:
        (batch,) = self.data()["train"].batches([Gather(torch.arange(self.batch))])
        assert any(not torch.equal(batch[0], inputs) for inputs, _ in self.changed(range(20)))

    def test_the_data_stay_as_they_are(self) -> None:
        data = self.data()
        gathers = [Gather(torch.arange(self.batch))]
        before = [part.clone() for part in next(iter(data["train"].batches(gathers)))]
        inputs, targets = next(iter(data["train"].batches(gathers)))
        for transform in self.transforms():
            inputs, targets = transform(0, inputs, targets)
        after = next(iter(data["train"].batches(gathers)))
        assert all(map(torch.equal, before, after))
