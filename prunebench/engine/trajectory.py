"""A training run as a trajectory: from where it was left to the last point that is asked for, saving points on it."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.api import keys
from prunebench.api.data import Data
from prunebench.api.errors import ContractError
from prunebench.api.masks import Mask, Units
from prunebench.api.planning import Ref
from prunebench.api.task import primary
from prunebench.api.training import LossTerm, MaskUpdate
from prunebench.components.learning_rate import multiplier
from prunebench.engine.loop import DivergedError, Training
from prunebench.engine.masking import MaskedParameters
from prunebench.engine.measuring import Measuring, measure, pack_correct
from prunebench.engine.unshrink import Unshrink
from prunebench.engine.work import CancelledError, Channel, Work
from prunebench.engine.workbench import Workbench, mask_meta, pack_mask, unpack_mask
from prunebench.kernels.macs import macs_of
from prunebench.plan.specs import StretchSpec, TrainSpec
from prunebench.store.tensors import dump_tensors, load_tensors

Curves = dict[str, list[dict[str, Any]]]


def train(
    work: Work,
    spec: TrainSpec,
    outputs: tuple[Ref, ...],
    workbench: Workbench,
    channel: Channel,
    checkpoint_seconds: float,
) -> None:
    """Train until every output is stored; resumes from the run's last checkpoint where that serves them.

    Raises:
        CancelledError: after a checkpoint was written.
        ContractError: a component that changes the mask missed the count at the horizon.
    """
    _Trajectory(work, spec, outputs, workbench, channel, checkpoint_seconds).follow()


@dataclass
class _Point:
    """A place where the loop pauses: what is measured and what is saved there."""

    curves: list[str]
    saved: list[Ref]


class _Trajectory:
    def __init__(
        self,
        work: Work,
        spec: TrainSpec,
        outputs: tuple[Ref, ...],
        workbench: Workbench,
        channel: Channel,
        checkpoint_seconds: float,
    ) -> None:
        self.work, self.outputs, self.workbench, self.channel = work, outputs, workbench, channel
        self.checkpoint_seconds = checkpoint_seconds
        self.spec, self.recipe = spec, spec.recipe
        self.longer = 1.0 if spec.stretch is None else self._longer(spec.stretch)
        self.start = self._steps(spec.start)
        self.horizon = self._steps(spec.recipe.horizon)
        self.stop = max(self._steps(ref.at) for ref in outputs if ref.at is not None)
        self.streams = spec.streams
        self.curves: Curves = {}
        self.checkpoint_name = f"{work.key}-{workbench.store.environment.id}"
        self._last: dict[str, Any] = {}
        """The primary metric as it was measured last, for those who watch."""
        self._correct: dict[str, Mapping[str, Tensor]] = {}
        self._measuring: dict[str, Measuring] = {}
        self._whole: Unshrink | None = None

    def follow(self) -> None:
        """Load or resume, then go from point to point."""
        self.data: Data = self.workbench.data(self.spec.data, self.streams.seed)
        training = self._prepared()
        points = self._points(training.position)
        self._saved_at = time.monotonic()
        try:
            if training.position in points:
                self._pause(training, points[training.position])
            for place in sorted(p for p in points if p > training.position):
                training.advance(place, lambda position, loss: self._look(training, position, loss))
                self._pause(training, points[place])
        except DivergedError as end:
            self._store_diverged(end.iteration)
            self.workbench.store.drop_scratch(self.checkpoint_name)
            return
        except CancelledError:
            self._checkpoint(training)
            raise
        if training.position < self.horizon:
            self._checkpoint(training)  # a later point may be asked for: go on from here
        else:
            self.workbench.store.drop_scratch(self.checkpoint_name)

    def _longer(self, how: StretchSpec) -> float:
        """How many steps one iteration of the planned clock takes: what a step of this mask's network saves."""
        spec, workbench = self.spec, self.workbench
        assert spec.units is not None
        mask = workbench.mask(spec.mask)
        model = workbench.model(spec.model, workbench.tensors(spec.weights))
        macs = macs_of(
            model,
            workbench.example(spec.task, spec.model),
            workbench.units(spec.units, spec.task, spec.model, model),
            mask,
        )
        # An empty network does nothing, however long it trains.
        ratio = macs.dense / max(1, macs.effective) if how.times == "macs-ratio" and macs.effective else 1.0
        return ratio if how.at_most is None else min(ratio, how.at_most)

    def _steps(self, iteration: int) -> int:
        """Steps done at an iteration of the planned clock."""
        return round(iteration * self.longer)

    def _iteration(self, step: int) -> int:
        """The iteration of the planned clock that a step belongs to: the last one that has begun."""
        before = int(step / self.longer)
        return before + 1 if self._steps(before + 1) <= step else before

    # Setting up.

    def _prepared(self) -> Training:
        spec, recipe, workbench = self.spec, self.recipe, self.workbench
        checkpoint = self._resumable()
        weights = checkpoint["model"] if checkpoint and not spec.shrunk else workbench.tensors(spec.weights)
        model = workbench.model(spec.model, weights)
        units = None if spec.units is None else workbench.units(spec.units, spec.task, spec.model, model)
        first = workbench.mask(spec.mask)
        if first is None and spec.mask_updates:
            assert units is not None
            first = Mask.full(units.layers)
        mask = checkpoint["mask"] if checkpoint and checkpoint["mask"] is not None else first
        masked = None
        if mask is not None:
            assert units is not None
            masked = MaskedParameters(model, units, mask)
            masked.zero_weights()
        if spec.shrunk:
            assert units is not None
            assert mask is not None
            self._whole = Unshrink(model, units, mask)
            model, units, masked = units.shrink(model, mask).to(workbench.device), None, None
            if checkpoint:
                model.load_state_dict(checkpoint["model"])

        pieces, manager = workbench.manager(recipe.optimizer, *recipe.lr)
        optimizer: torch.optim.Optimizer = manager.hook.prunebench_optimizer(model=model)
        self._options = [options_of(group) for group in optimizer.param_groups]
        if checkpoint:
            restore_optimizer(optimizer, checkpoint["optimizer"], checkpoint["groups"])
        elif spec.optimizer_state is not None:
            artifact = workbench.artifact(spec.optimizer_state)
            restore_optimizer(optimizer, load_tensors(artifact.files["optimizer.safetensors"]), artifact.meta["groups"])
            if masked is not None:
                masked.zero_optimizer(optimizer)
        # The mask at the start also after a resume: what is set up must not depend on where a run was interrupted.
        terms, updates = self._extras(model, units, first)
        position = checkpoint["iteration"] if checkpoint else self.start
        self.curves = checkpoint["curves"] if checkpoint else {}
        horizon = recipe.horizon
        rate = multiplier(pieces)
        rates = [rate(min(self._iteration(step), horizon), horizon) for step in range(position, self.stop)]
        train = self.data["train"]
        return Training(
            model=model,
            optimizer=optimizer,
            rates=rates,
            rates_start=position,
            train=train,
            batch=recipe.batch,
            steps_per_epoch=train.size // recipe.batch,
            streams=self.streams,
            task=workbench.task(spec.task, recipe.label_smoothing),
            units=units,
            masked=masked,
            terms=terms,
            updates=updates,
            max_gradient_norm=recipe.max_gradient_norm,
            position=position,
        )

    def _extras(
        self, model: nn.Module, units: Units | None, mask: Mask | None
    ) -> tuple[list[LossTerm], list[MaskUpdate]]:
        """Loss terms and mask updates, each component with its own inputs, in the order of the file."""
        terms: list[LossTerm] = []
        for one in self.spec.loss:
            _, manager = self.workbench.manager(one)
            answers = manager.hook.prunebench_loss_terms(
                model=model, units=units, mask=mask, inputs=self.workbench.inputs(one)
            )
            terms += [term for answer in answers for term in answer]
        updates: list[MaskUpdate] = []
        self._updating: list[str] = []
        for one in self.spec.mask_updates:
            (use,), manager = self.workbench.manager(one)
            answers = manager.hook.prunebench_mask_updates(
                model=model,
                units=units,
                mask=mask,
                count=self.spec.count,
                horizon=self.horizon,
                rng=self.streams.rng("update").child(use.name),
            )
            assert units is not None
            updates += [_checked(update, units, f"mask_updates {use}") for answer in answers for update in answer]
            self._updating.append(str(use))
        return terms, updates

    def _points(self, position: int) -> dict[int, _Point]:
        """Where the run pauses from `position` on."""
        points: dict[int, _Point] = {}

        def at(iteration: int) -> _Point:
            return points.setdefault(iteration, _Point([], []))

        for ref in self.outputs:
            assert ref.at is not None
            end = self._steps(ref.at)
            at(end).saved.append(ref)
            if ref.part == "curve":
                for iteration in self._measured(ref.detail, end):
                    done = self.curves.get(ref.detail, [])
                    # The last point is measured even if a checkpoint has it: which examples are right is not in there.
                    known = bool(done) and done[-1]["iteration"] >= iteration and iteration < end
                    if iteration >= position and not known:
                        pause = at(iteration)
                        if ref.detail not in pause.curves:
                            pause.curves.append(ref.detail)
        return points

    def _measured(self, detail: str, stop: int) -> list[int]:
        """The steps at which a curve has a point: multiples of `every`, stated ones, and both ends."""
        how, start = self.work.curves[detail], self.start
        every = how.every
        multiples = range((start // every + 1) * every, stop, every) if every else ()
        stated = [self._steps(iteration) for iteration in how.at]
        return sorted({start, stop, *multiples, *(i for i in stated if start <= i <= stop)})

    # On the way.

    def _look(self, training: Training, position: int, loss: float) -> None:
        self.channel.progress({"iteration": position, "stop": self.stop, "loss": loss, **self._last})
        if time.monotonic() - self._saved_at >= self.checkpoint_seconds:
            self._checkpoint(training)

    def _pause(self, training: Training, point: _Point) -> None:
        # The step that broke the weights had a finite loss; the next one would tell, but this may be the last.
        if not all(bool(torch.isfinite(p).all()) for p in training.model.parameters()):
            raise DivergedError(training.position)
        for detail in sorted(point.curves):
            how = self.work.curves[detail]
            if detail not in self._measuring:
                self._measuring[detail] = self.workbench.measuring(how.task)
            measuring = self._measuring[detail]
            measured = measure(training.model, measuring, self.data, how.splits, how.train_sample)
            before = [p for p in self.curves.get(detail, []) if p["iteration"] < training.position]
            self.curves[detail] = [*before, {"iteration": training.position, **measured.values}]
            self._correct[detail] = measured.correct
            self._note(measuring, measured.values)
        for ref in point.saved:
            files, meta = self._output(ref, training)
            self.workbench.store.put(ref.address, files, meta, self.work.parents)

    def _note(self, measuring: Measuring, values: Mapping[str, float | None]) -> None:
        metric = primary(measuring.metrics)
        for split in ("test", "valid"):
            if (value := values.get(f"{split}/{metric}")) is not None:
                self._last = {"metric": metric, "unit": measuring.metrics[metric].unit, "value": value}

    def _output(self, ref: Ref, training: Training) -> tuple[dict[str, bytes], dict[str, Any]]:
        if ref.part == "curve":
            files = {"curve.json": keys.canonical({"points": self._until(ref)}).encode()}
            if "test" in self._correct[ref.detail]:
                files["test.hits"] = pack_correct(self._correct[ref.detail]["test"])
            return files, {} if self.longer == 1.0 else {"longer": self.longer}
        if ref.part == "weights":
            state = training.model.state_dict()
            whole = state if self._whole is None else self._whole.state(state)
            return {"weights.safetensors": dump_tensors(whole)}, {}
        if ref.part == "optimizer":
            tensors, groups = dump_optimizer(training.optimizer, self._options)
            return {"optimizer.safetensors": dump_tensors(tensors)}, {"groups": groups}
        mask = training.mask
        assert mask is not None
        assert training.units is not None
        self._check_count(mask, training)
        files = {"mask.safetensors": dump_tensors(pack_mask(mask))}
        return files, mask_meta(
            mask, training.units, training.model, self.workbench.example(self.spec.task, self.spec.model)
        )

    def _until(self, ref: Ref) -> list[dict[str, Any]]:
        assert ref.at is not None
        return [p for p in self.curves.get(ref.detail, []) if p["iteration"] <= self._steps(ref.at)]

    def _check_count(self, mask: Mask, training: Training) -> None:
        if training.position >= self.horizon and mask.count != self.spec.count:
            names = " and ".join(self._updating)
            raise ContractError(
                f"mask_updates {names}: {mask.count:,} units are kept at the horizon; {self.spec.count:,} were "
                "asked for"
            )

    def _store_diverged(self, iteration: int) -> None:
        meta = {"outcome": "diverged", "iteration": iteration}
        for ref in self.outputs:
            if not self.workbench.store.has(ref.address):
                files = {}
                if ref.part == "curve":
                    files = {"curve.json": keys.canonical({"points": self._until(ref)}).encode()}
                self.workbench.store.put(ref.address, files, meta, self.work.parents)

    # Checkpoints.

    def _checkpoint(self, training: Training) -> None:
        optimizer, groups = dump_optimizer(training.optimizer, self._options)
        tensors = {f"model/{n}": t for n, t in training.model.state_dict().items()}
        tensors.update({f"optimizer/{n}": t for n, t in optimizer.items()})
        if training.mask is not None:
            tensors.update({f"mask/{n}": t for n, t in pack_mask(training.mask).items()})
        head = {"iteration": training.position, "curves": self.curves, "groups": groups}
        body = json.dumps(head).encode()
        data = len(body).to_bytes(8, "little") + body + dump_tensors(tensors)
        self.workbench.store.put_scratch(self.checkpoint_name, data)
        self._saved_at = time.monotonic()

    def _resumable(self) -> dict[str, Any] | None:
        """The last checkpoint, if every output that is missing lies ahead of it."""
        data = self.workbench.store.get_scratch(self.checkpoint_name)
        if data is None:
            return None
        size = int.from_bytes(data[:8], "little")
        head = json.loads(data[8 : 8 + size])
        iteration = head["iteration"]
        for ref in self.outputs:
            assert ref.at is not None
            if self._steps(ref.at) < iteration:
                return None
            if ref.part == "curve":
                due = [i for i in self._measured(ref.detail, self._steps(ref.at)) if i < iteration]
                have = {p["iteration"] for p in head["curves"].get(ref.detail, [])}
                if not have.issuperset(due):
                    return None
        found: dict[str, dict[str, Tensor]] = {"model": {}, "optimizer": {}, "mask": {}}
        for name, tensor in load_tensors(data[8 + size :]).items():
            kind, _, rest = name.partition("/")
            found[kind][rest] = tensor
        mask = unpack_mask(found["mask"]) if found["mask"] else None
        return {**head, "model": found["model"], "optimizer": found["optimizer"], "mask": mask}


def _checked(update: MaskUpdate, units: Units, who: str) -> MaskUpdate:
    """An update whose answer fits the units, or else a ContractError that names the component."""

    def checked(step: int, mask: Mask, gradients: Mapping[str, Tensor]) -> Mask:
        new = update.update(step, mask, gradients)
        if not isinstance(new, Mask):
            raise ContractError(f"{who}: step {step:,}: it returned {type(new).__name__}, not a Mask")
        if [keep.numel() for keep in new.keep] != [layer.count for layer in units.layers]:
            raise ContractError(f"{who}: step {step:,}: the mask's layers do not have the units' sizes")
        return new

    return MaskUpdate(update.due, checked)


def options_of(group: Mapping[str, Any]) -> dict[str, Any]:
    """A parameter group's options that JSON can hold; the learning rate belongs to the schedule."""
    return {k: v for k, v in group.items() if k not in ("params", "lr") and isinstance(v, bool | int | float | str)}


def dump_optimizer(
    optimizer: torch.optim.Optimizer, built_with: list[dict[str, Any]]
) -> tuple[dict[str, Tensor], list[dict[str, Any]]]:
    """An optimizer's state as tensors, and as JSON what training changed of its groups' options.

    What a recipe configures is left out: another recipe that takes the state over keeps its own.
    """
    state = optimizer.state_dict()
    tensors: dict[str, Tensor] = {}
    for index, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"{index}/{name}"] = value
            elif value is not None:
                tensors[f"{index}/{name}"] = torch.tensor(value, dtype=torch.float64)
    groups = [
        {name: value for name, value in options_of(group).items() if name not in before or before[name] != value}
        for group, before in zip(state["param_groups"], built_with, strict=True)
    ]
    return tensors, groups


def restore_optimizer(
    optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor], groups: list[dict[str, Any]]
) -> None:
    """Give a fresh optimizer the state of another; the learning rate stays the fresh one's."""
    state = optimizer.state_dict()
    restored: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        index, _, field = name.partition("/")
        restored.setdefault(int(index), {})[field] = value
    fresh = [{**group, **saved} for group, saved in zip(state["param_groups"], groups, strict=True)]
    optimizer.load_state_dict({"state": restored, "param_groups": fresh})
