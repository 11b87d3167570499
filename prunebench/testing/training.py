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
from prunebench.api.training import LossTerm
from prunebench.components.learning_rate import multiplier
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

    def run(self) -> tuple[Units, list[Mask]]:
        """The mask after each iteration of a run with made-up gradients."""
        model = self.model()
        units = self.units(model)
        mask = self.start(units)
        answers = self.hooks().prunebench_mask_updates(
            model=model, units=units, mask=mask, count=self.count, horizon=self.horizon, rng=self.rng()
        )
        updates = [update for answer in answers for update in answer]
        masks = [mask]
        for step in range(self.horizon):
            generator = self.rng(1).torch(step)
            gradients = {n: torch.randn(p.shape, generator=generator) for n, p in model.named_parameters()}
            for update in updates:
                if update.due(step):
                    given = {name: gradient.clone() for name, gradient in gradients.items()}
                    flat = masks[-1].flat()
                    masks.append(update.update(step, masks[-1], gradients))
                    assert torch.equal(flat, masks[-2].flat()), "the update changed the mask that it was given"
                    assert same(given, gradients), "the update changed the gradients"
            keep = units.expand(masks[-1])
            with torch.no_grad():
                for name, parameter in model.named_parameters():
                    if name in keep:
                        parameter.sub_(0.01 * gradients[name]).masked_fill_(~keep[name], 0.0)
        return units, masks

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
