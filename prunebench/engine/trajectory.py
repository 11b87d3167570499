"""A training run as a trajectory: from where it was left to the last point that is asked for, saving points on it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from prunebench.api import keys
from prunebench.api.errors import PrunebenchError
from prunebench.api.planning import Ref
from prunebench.api.task import primary
from prunebench.engine.assembly import assemble
from prunebench.engine.checkpoint import Checkpoint
from prunebench.engine.curves import Curves
from prunebench.engine.loop import DivergedError
from prunebench.engine.measuring import Measuring, measure, pack_correct
from prunebench.engine.stretch import clock_of
from prunebench.engine.work import CancelledError, Channel, Work
from prunebench.engine.workbench import Workbench, mask_meta, pack_mask
from prunebench.plan.specs import TrainSpec
from prunebench.store.tensors import dump_tensors


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
        ContractError: a component that changes the mask missed the count at the horizon, or one moved pruned weights.
    """
    Trajectory(work, spec, outputs, workbench, channel, checkpoint_seconds).follow()


@dataclass
class _Pause:
    """A place where the loop pauses: what is measured and what is saved there."""

    curves: set[str] = field(default_factory=set)
    saved: list[Ref] = field(default_factory=list)


class Trajectory:
    """One run on its way: goes from pause to pause."""

    def __init__(
        self,
        work: Work,
        spec: TrainSpec,
        outputs: tuple[Ref, ...],
        workbench: Workbench,
        channel: Channel,
        checkpoint_seconds: float,
    ) -> None:
        self._work, self._spec, self._outputs = work, spec, outputs
        self._workbench, self._store, self._channel = workbench, workbench.store, channel
        self._checkpoint_seconds = checkpoint_seconds
        self._checkpoint_name = f"{work.key}-{self._store.environment.id}"
        self._clock = clock_of(spec, workbench)
        self._horizon = self._clock.steps(spec.recipe.horizon)
        self._stop = max(map(self._step_of, outputs))
        self._data = workbench.data(spec.data, spec.streams.seed)
        checkpoint = self._last_checkpoint()
        points = {} if checkpoint is None else checkpoint.points
        self._curves = Curves(work.curves, self._clock, self._clock.steps(spec.start), points)
        self.run = assemble(spec, workbench, self._data, self._clock, checkpoint, self._stop)
        self._taken_up = self.run.training.position
        """Where this process took the run up: at its start, or at a checkpoint."""
        self._correct: dict[str, Mapping[str, Tensor]] = {}
        self._constant: dict[str, bool] = {}
        self._measuring: dict[str, Measuring] = {}
        self._last: dict[str, Any] = {}
        """The primary metric as it was measured last, for those who watch."""
        self._fresh: list[dict[str, Any]] = []
        """What was measured since it was told last."""

    def follow(self) -> None:
        """Train from pause to pause, to the last one."""
        training = self.run.training
        pauses = self._pauses()
        self._saved_at = time.monotonic()
        try:
            for place in sorted(pauses):
                if place > training.position:
                    training.advance(place, self._report)
                self._pause(pauses[place])
        except DivergedError as end:
            if self._is_of_the_network(end.iteration):
                raise PrunebenchError(
                    "its weights or the loss of its first step are not finite, before it trained; "
                    "`prunebench check` says where that comes from"
                ) from None
            self._store_diverged(end.iteration)
            self._store.drop_scratch(self._checkpoint_name)
            return
        except CancelledError:
            self._save_checkpoint()
            raise
        if training.position < self._horizon:
            self._save_checkpoint()  # a later point may be asked for: go on from here
        else:
            self._store.drop_scratch(self._checkpoint_name)

    def _is_of_the_network(self, iteration: int) -> bool:
        """Whether a run that is not finite was so before its first step, without a ticket that could be the reason."""
        return iteration == 0 == self._spec.start and self._spec.mask is None

    def _step_of(self, ref: Ref) -> int:
        assert ref.at is not None
        return self._clock.steps(ref.at)

    def _pauses(self) -> dict[int, _Pause]:
        """Where the run pauses, by step."""
        pauses: dict[int, _Pause] = {}
        for ref in self._outputs:
            end = self._step_of(ref)
            pauses.setdefault(end, _Pause()).saved.append(ref)
            if ref.part == "curve":
                for step in self._curves.left(ref.detail, self.run.training.position, end):
                    pauses.setdefault(step, _Pause()).curves.add(ref.detail)
        return pauses

    def _report(self, position: int, loss: float) -> None:
        told = {"iteration": position, "stop": self._stop, "taken_up": self._taken_up, "loss": loss, **self._last}
        if self._fresh:
            told["measured"], self._fresh = self._fresh, []
        training = self.run.training
        if self._workbench.device.type == "cuda" and training.why_eager:
            told["no_graph"] = training.why_eager
        self._channel.progress(told)
        if time.monotonic() - self._saved_at >= self._checkpoint_seconds:
            self._save_checkpoint()

    # What is measured and stored. All of it is checked first: no output of a state that breaks a contract exists.

    def _pause(self, pause: _Pause) -> None:
        # The step that broke the weights had a finite loss; the next one would tell, but this may be the last.
        if not self._finite():
            raise DivergedError(self.run.training.position)
        self.run.check_mask(self._spec.count, self._horizon)
        self.run.check_weights()
        for curve in sorted(pause.curves):
            self._measure(curve)
        self._workbench.check_data()
        for ref in pause.saved:
            self._store.put(ref.address, *self._output(ref), self._work.parents)

    def _measure(self, curve: str) -> None:
        spec, training = self._curves.specs[curve], self.run.training
        if curve not in self._measuring:
            self._measuring[curve] = self._workbench.measuring(spec.task)
        measuring = self._measuring[curve]
        measured = measure(self._measured_network(), measuring, self._data, spec.splits, spec.train_sample)
        self._curves.add(curve, training.position, measured.values)
        self._fresh.append({"curve": curve, "iteration": training.position, "values": dict(measured.values)})
        self._correct[curve], self._constant[curve] = measured.correct, measured.constant
        metric = primary(measuring.metrics)
        for split in ("test", "valid"):
            if (value := measured.values.get(f"{split}/{metric}")) is not None:
                unit, at = measuring.metrics[metric].unit, training.position
                self._last = {"metric": metric, "unit": unit, "value": value, "measured_at": at}

    def _measured_network(self) -> nn.Module:
        """What is measured is what is stored: hooks that components put on the network take no part in it."""
        if not self.run.guard.hooked:
            return self.run.judged
        return self._workbench.model(self._spec.model, self.run.state)

    def _output(self, ref: Ref) -> tuple[dict[str, bytes], dict[str, Any]]:
        """The files and the metadata of an output."""
        match ref.part:
            case "curve":
                return self._curve_files(ref), self._curve_meta(ref.detail)
            case "weights":
                return {"weights.safetensors": dump_tensors(self.run.state)}, {}
            case "optimizer":
                state = self.run.optimizer
                return {"optimizer.safetensors": dump_tensors(state.tensors)}, {"groups": state.groups}
            case part:
                assert part == "mask"
                training = self.run.training
                assert training.mask is not None
                assert training.units is not None
                example = self._workbench.example(self._spec.task, self._spec.model)
                meta = mask_meta(training.mask, training.units, training.model, example)
                return {"mask.safetensors": dump_tensors(pack_mask(training.mask))}, meta

    def _curve_files(self, ref: Ref) -> dict[str, bytes]:
        points = self._curves.up_to(ref.detail, self._step_of(ref))
        files = {"curve.json": keys.canonical({"points": points}).encode()}
        correct = self._correct.get(ref.detail, {})
        return {**files, "test.hits": pack_correct(correct["test"])} if "test" in correct else files

    def _curve_meta(self, curve: str) -> dict[str, Any]:
        stretched, mask = self._clock.steps_per_iteration, self.run.training.mask
        meta: dict[str, Any] = {} if stretched == 1.0 else {"longer": stretched}
        constant = self._constant.get(curve, False)
        # Said where a reader may doubt it: a layer may be empty and the network whole, as around a residual branch.
        emptied = mask is not None and 0 in mask.counts
        return {**meta, "constant": constant} if constant or emptied else meta

    def _store_diverged(self, iteration: int) -> None:
        meta = {"outcome": "diverged", "iteration": iteration}
        for ref in self._outputs:
            if not self._store.has(ref.address):
                points = self._curves.up_to(ref.detail, self._step_of(ref))
                files = {"curve.json": keys.canonical({"points": points}).encode()} if ref.part == "curve" else {}
                self._store.put(ref.address, files, meta, self._work.parents)

    def _finite(self) -> bool:
        # One look at the device for all parameters together.
        return bool(torch.stack([torch.isfinite(p).all() for p in self.run.training.model.parameters()]).all())

    # Checkpoints.

    def _save_checkpoint(self) -> None:
        self._saved_at = time.monotonic()
        if self._finite():  # else the run has diverged, and its next step tells where
            self.run.check_weights()
            self._workbench.check_data()
            checkpoint = self.run.checkpoint(self._curves.points)
            self._store.put_scratch(self._checkpoint_name, checkpoint.to_bytes())

    def _last_checkpoint(self) -> Checkpoint | None:
        """The last checkpoint, if every output that is missing lies ahead of it."""
        data = self._store.get_scratch(self._checkpoint_name)
        if data is None:
            return None
        checkpoint = Checkpoint.from_bytes(data)
        curves = Curves(self._work.curves, self._clock, self._clock.steps(self._spec.start), checkpoint.points)
        for ref in self._outputs:
            end = self._step_of(ref)
            if end < checkpoint.position:
                return None
            if ref.part == "curve" and not curves.has_until(ref.detail, checkpoint.position, end):
                return None
        return checkpoint
