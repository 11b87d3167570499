"""From the spec of a run, and the checkpoint that it goes on from, to everything that its steps need."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.api.data import Data
from prunebench.api.errors import ContractError
from prunebench.api.masks import Mask, Units
from prunebench.api.training import BatchTransform, LossTerm, MaskUpdate
from prunebench.components.learning_rate import multiplier
from prunebench.engine.averaging import Average
from prunebench.engine.checkpoint import Checkpoint
from prunebench.engine.loop import Training
from prunebench.engine.masking import MaskedParameters, handed, plain_mask
from prunebench.engine.network_guard import NetworkGuard
from prunebench.engine.numerics import forward_of, laid_out, unable
from prunebench.engine.optimizer_state import OptimizerState, Options, options_of
from prunebench.engine.pruned_values import PrunedValues, kept_by
from prunebench.engine.stretch import StretchedClock
from prunebench.engine.unshrink import Unshrink
from prunebench.engine.workbench import Workbench
from prunebench.plan.specs import TrainSpec
from prunebench.store.tensors import load_tensors


@dataclass(frozen=True)
class Assembled:
    """A run that is ready for its next step, and how its state is taken out of it.

    Args:
        built_with: the options of the optimizer's groups, before training changed any.
        whole: of a shrunk network, the way back to the whole one.
        updating: the components that change the mask, as errors call them.
        proximal: the components with a step of their own after the optimizer's, as errors call them, each with it.
        optimizing: what errors call the optimizer.
        guard: the network as it was before any component was handed it.
        handed: what errors call the other components that have it.
    """

    training: Training
    built_with: Sequence[Options]
    whole: Unshrink | None
    updating: Sequence[str]
    proximal: Sequence[tuple[str, Callable[[float], None]]]
    optimizing: str
    guard: NetworkGuard
    handed: Sequence[str]

    @property
    def optimizer(self) -> OptimizerState:
        """The optimizer's state."""
        return OptimizerState.of(self.training.optimizer, self.built_with)

    @property
    def judged(self) -> nn.Module:
        """The network that is measured and stored: the average of the weights, if the recipe asks for one."""
        average = self.training.average
        return self.training.model if average is None else average.model

    @property
    def state(self) -> Mapping[str, Tensor]:
        """The whole network's parameters and buffers."""
        state = self.judged.state_dict()
        return state if self.whole is None else self.whole.state(state)

    def checkpoint(self, points: Mapping[str, Any]) -> Checkpoint:
        """Where the run is, with what was measured of it."""
        training = self.training
        return Checkpoint(
            training.position,
            points,
            training.model.state_dict(),
            self.optimizer,
            training.mask,
            average={} if training.average is None else training.average.model.state_dict(),
            pruned={} if training.pruned is None else training.pruned.values,
            rules=_states(training.updates),
        )

    def check_weights(self) -> None:
        """Pruned weights are exactly 0.

        Raises:
            ContractError: they are not; names the component that moved them.
        """
        training, average = self.training, self.training.average
        self.guard.check(" and ".join([self.optimizing, *self.handed]))
        moved = None if training.masked is None else training.masked.moved()
        if moved is None and average is not None and training.masked is not None:
            assert training.units is not None
            moved = MaskedParameters(average.model, training.units, training.masked.mask).moved()
        if moved is not None:
            name, count = moved
            raise ContractError(
                f"{self._culprit()}: {count:,} pruned weights of {name} are not 0 after {training.position:,} "
                "iterations; what is 0 must stay 0"
            )

    def check_mask(self, count: int | None, horizon: int) -> None:
        """A mask that components change has `count` units at the horizon.

        Raises:
            ContractError: it has not; names them.
        """
        mask = self.training.mask
        if self.updating and mask is not None and self.training.position >= horizon and mask.count != count:
            raise ContractError(
                f"mask_updates {' and '.join(self.updating)}: {mask.count:,} units are kept at the horizon; {count:,} "
                "were asked for"
            )

    def _culprit(self) -> str:
        """Which component moves pruned weights: each that could is tried once more, for this run is lost anyway."""
        masked, rate = self.training.masked, float(self.training.optimizer.param_groups[0]["lr"])
        assert masked is not None
        for who, step in self.proximal:
            masked.zero_weights()
            with torch.no_grad():
                step(rate)
            if masked.moved() is not None:
                return who
        return self.optimizing


def assemble(
    spec: TrainSpec,
    workbench: Workbench,
    data: Data,
    clock: StretchedClock,
    checkpoint: Checkpoint | None,
    stop: int,
) -> Assembled:
    """A run as it starts, or as a checkpoint left it, with rates for all steps up to `stop`."""
    recipe = spec.recipe
    if why := unable(recipe.numerics, recipe.compile, str(workbench.device)):
        raise ContractError(why)
    position = clock.steps(spec.start) if checkpoint is None else checkpoint.position
    first = workbench.mask(spec.mask)
    weights = workbench.tensors(spec.weights) if checkpoint is None or spec.shrunk else checkpoint.model
    model = laid_out(workbench.model(spec.model, weights), recipe)
    units = None if spec.units is None else workbench.units(spec.units, spec.task, spec.model, model)
    if first is None and spec.mask_updates:
        assert units is not None
        first = Mask.full(units.layers)
    mask = first if checkpoint is None or checkpoint.mask is None else checkpoint.mask
    masked, whole = None, None
    if mask is not None:
        assert units is not None
        masked = MaskedParameters(model, units, mask)
        masked.zero_weights()
    if spec.shrunk:
        assert units is not None
        assert mask is not None
        whole = Unshrink(model, units, mask)
        model, units, masked = laid_out(units.shrink(model, mask).to(workbench.device), recipe), None, None
        if checkpoint is not None:
            model.load_state_dict(dict(checkpoint.model))

    (optimizing, *pieces), manager = workbench.manager(recipe.optimizer, *recipe.lr)
    guard = NetworkGuard(model)
    optimizer: torch.optim.Optimizer = manager.hook.prunebench_optimizer(model=model)
    if not isinstance(optimizer, torch.optim.Optimizer):
        raise ContractError(f"optimizer {optimizing}: it returned {type(optimizer).__name__}, not an Optimizer")
    guard.check(f"optimizer {optimizing}")
    built_with = [options_of(group) for group in optimizer.param_groups]
    if checkpoint is not None:
        checkpoint.optimizer.restore(optimizer)
    elif spec.optimizer_state is not None:
        artifact = workbench.artifact(spec.optimizer_state)
        tensors = load_tensors(artifact.files["optimizer.safetensors"])
        OptimizerState(tensors, artifact.meta["groups"]).restore(optimizer)
        if masked is not None:
            masked.zero_optimizer(optimizer)
    rate, horizon = multiplier([optimizing, *pieces]), recipe.horizon
    # The mask at the start also after a resume: what is set up must not depend on where a run was interrupted.
    terms = _loss_terms(spec, workbench, model, units, first, guard)
    updates = _mask_updates(spec, workbench, model, units, first, clock.steps(horizon), guard)
    pruned = kept_by(updates, masked)
    average = None if recipe.average is None else Average(model, recipe.average)
    if checkpoint is not None:
        _take_up(checkpoint, pruned, average, updates)
    train = data["train"]
    training = Training(
        model=model,
        optimizer=optimizer,
        rates=[rate(min(clock.iteration(step), horizon), horizon) for step in range(position, stop)],
        rates_start=position,
        train=train,
        batch=recipe.batch,
        steps_per_epoch=train.size // recipe.batch,
        streams=spec.streams,
        task=workbench.task(spec.task, recipe.label_smoothing),
        units=units,
        masked=masked,
        terms=[term for _, term in terms],
        updates=updates,
        max_gradient_norm=recipe.max_gradient_norm,
        position=position,
        forward=forward_of(model, recipe),
        numerics=recipe.numerics,
        transforms=_transforms(spec, workbench, data, clock.steps(horizon)),
        accumulate=recipe.accumulate,
        pruned=pruned,
        average=average,
    )
    return Assembled(
        training=training,
        built_with=built_with,
        whole=whole,
        updating=[str(workbench.bound(participant)) for participant in spec.mask_updates],
        proximal=[(f"loss {who}", term.proximal) for who, term in terms if term.proximal is not None],
        optimizing=f"optimizer {optimizing}",
        guard=guard,
        handed=[f"loss {who}" for who in dict(terms)]
        + [f"mask_updates {workbench.bound(participant)}" for participant in spec.mask_updates],
    )


def _states(updates: Sequence[MaskUpdate]) -> dict[str, Tensor]:
    """The tensors that rules keep, each after the rule's number."""
    return {f"{number}/{name}": value for number, update in enumerate(updates) for name, value in update.state.items()}


@torch.no_grad()
def _take_up(
    checkpoint: Checkpoint, pruned: PrunedValues | None, average: Average | None, updates: Sequence[MaskUpdate]
) -> None:
    """Bring what a run has beside its weights and its optimizer to where a checkpoint left it."""
    if pruned is not None:
        pruned.restore(checkpoint.pruned)
    if average is not None:
        average.model.load_state_dict(dict(checkpoint.average))
    for name, value in _states(updates).items():
        value.copy_(checkpoint.rules[name])


def _transforms(spec: TrainSpec, workbench: Workbench, data: Data, horizon: int) -> list[BatchTransform]:
    """What changes the batches, in the order of the file."""
    transforms: list[BatchTransform] = []
    for number, one in enumerate(spec.recipe.transforms):
        (component,), manager = workbench.manager(one)
        rng = spec.streams.rng("augment").child(f"{number}/{component.name}")
        answers = manager.hook.prunebench_transforms(
            data_info=data.info, batch=spec.recipe.batch, horizon=horizon, rng=rng
        )
        transforms += [transform for answer in answers for transform in answer]
    return transforms


def _loss_terms(
    spec: TrainSpec,
    workbench: Workbench,
    model: nn.Module,
    units: Units | None,
    mask: Mask | None,
    guard: NetworkGuard,
) -> list[tuple[str, LossTerm]]:
    """The terms of each component with its own inputs, in the order of the file, each after its component's name."""
    terms: list[tuple[str, LossTerm]] = []
    for participant in spec.loss:
        (component,), manager = workbench.manager(participant)
        with workbench.lent(spec.data, spec.streams.seed, component, "prunebench_loss_terms") as data:
            answers = manager.hook.prunebench_loss_terms(
                model=model,
                data=data,
                task=workbench.task(spec.task),
                units=units,
                mask=handed(mask),
                inputs=workbench.inputs(participant),
                rng=spec.streams.rng("loss").child(component.name),
            )
        guard.check(f"loss {component}")
        terms += [(str(component), term) for answer in answers for term in answer]
    return terms


def _mask_updates(
    spec: TrainSpec,
    workbench: Workbench,
    model: nn.Module,
    units: Units | None,
    mask: Mask | None,
    horizon: int,
    guard: NetworkGuard,
) -> list[MaskUpdate]:
    """The updates of each component, in the order of the file."""
    updates: list[MaskUpdate] = []
    rng = spec.streams.rng("update")
    for participant in spec.mask_updates:
        (component,), manager = workbench.manager(participant)
        answers = manager.hook.prunebench_mask_updates(
            model=model,
            units=units,
            mask=handed(mask),
            count=spec.count,
            horizon=horizon,
            rng=rng.child(component.name),
        )
        guard.check(f"mask_updates {component}")
        assert units is not None
        updates += [_checked(update, units, f"mask_updates {component}") for answer in answers for update in answer]
    return updates


def _checked(update: MaskUpdate, units: Units, who: str) -> MaskUpdate:
    """An update whose answer fits the units, or else a ContractError that names the component."""

    def checked(step: int, mask: Mask, gradients: Mapping[str, Tensor]) -> Mask:
        return plain_mask(update.update(step, handed(mask), gradients), units, f"{who}: step {step:,}")

    def observed(step: int, mask: Mask, gradients: Mapping[str, Tensor]) -> None:
        assert update.observe is not None
        update.observe(step, handed(mask), gradients)

    return replace(update, update=checked, observe=None if update.observe is None else observed)
