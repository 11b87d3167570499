"""The one training loop: gather, forward, objective and its terms, backward, mask, step, measure when due.

What varies between runs was decided before the loop began; hooks are not called inside it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from prunebench.api.data import Batch, Gather, Split
from prunebench.api.masks import Mask, Units
from prunebench.api.random import Streams
from prunebench.api.task import Task
from prunebench.api.training import BatchTransform, LossTerm, MaskUpdate
from prunebench.engine.averaging import Average
from prunebench.engine.graphed_step import GraphedStep, why_eager
from prunebench.engine.masking import MaskedParameters, overlap
from prunebench.engine.numerics import matrix_products
from prunebench.engine.pruned_values import PrunedValues

CHUNK = 50
"""Steps between two looks at the loss: often enough to stop a diverged run, rare enough not to wait for a device."""


class DivergedError(Exception):
    """The loss became infinite or NaN in the step that follows `iteration` steps."""

    def __init__(self, iteration: int) -> None:
        self.iteration = iteration
        super().__init__(f"the loss is not finite after {iteration:,} iterations")


@dataclass
class Training:
    """A run in flight: everything that one step needs.

    `position` counts the steps done on the learning-rate clock.
    """

    model: nn.Module
    optimizer: torch.optim.Optimizer
    rates: Sequence[float]
    """Multiplier of the base learning rates for each iteration, from `rates_start` on."""
    rates_start: int
    train: Split
    batch: int
    steps_per_epoch: int
    streams: Streams
    task: Task
    units: Units | None
    masked: MaskedParameters | None
    terms: Sequence[LossTerm]
    updates: Sequence[MaskUpdate]
    max_gradient_norm: float | None
    position: int
    forward: Callable[[Tensor], Tensor] | None = None
    """Inputs -> outputs as the recipe computes them (see `prunebench.engine.numerics`); the model itself if None."""
    transforms: Sequence[BatchTransform] = ()
    accumulate: int = 1
    """In how many parts a batch passes through the network, their gradients being added up."""
    pruned: PrunedValues | None = None
    average: Average | None = None
    """The moving average of the weights, which is what is judged and stored."""
    numerics: str = "float32"
    graphed: bool = True
    """Whether a step on a CUDA device is recorded as a graph, where it can be. The numbers are the same."""

    def __post_init__(self) -> None:
        groups = self.optimizer.param_groups
        self._bases = [float(group["lr"]) for group in groups]
        self._parameters = [p for p in self.model.parameters() if p.requires_grad]
        self._device = self._parameters[0].device
        self._network = self.model if self.forward is None else self.forward
        self._dropout = self.streams.rng("dropout")
        self._epoch, self._order = -1, torch.empty(0, dtype=torch.long)
        self._rates: list[Tensor] = []
        if self._device.type == "cuda" and all(group.get("fused") for group in groups):
            # Fused kernels read the learning rate on the device: a step then has no argument that changes.
            self._rates = [torch.empty((), device=self._device) for _ in groups]
            for group, rate in zip(groups, self._rates, strict=True):
                group["lr"] = rate
        self._why_eager = why_eager(self._device, self.optimizer, bool(self.terms), bool(self.updates))
        graphed = self.graphed and not self._why_eager
        self._compute = GraphedStep(self._on_device, self.optimizer) if graphed else self._on_device

    @property
    def why_eager(self) -> str:
        """Why its steps are not a CUDA graph; empty if they are, or there is none on this device."""
        return self._compute.why_eager if isinstance(self._compute, GraphedStep) else self._why_eager

    def advance(self, stop: int, look: Callable[[int, float], None]) -> None:
        """Train until `stop` steps are done. `look(position, loss)` is called between chunks and may raise.

        Raises:
            DivergedError: the loss is no longer finite.
        """
        batches = self.train.batches(self._gathers(stop))
        self.model.train()
        with matrix_products(self.numerics, self._device):
            while self.position < stop:
                begin = self.position
                end = min(stop, begin - begin % CHUNK + CHUNK)
                steps = [self._step(*self.task.batch(*batch)) for batch in _take(batches, end - begin)]
                losses = torch.stack(steps).tolist()  # the only wait for the device
                if not all(map(math.isfinite, losses)):
                    raise DivergedError(begin + next(i for i, loss in enumerate(losses) if not math.isfinite(loss)))
                look(self.position, losses[-1])

    def _step(self, inputs: Tensor, targets: Tensor) -> Tensor:
        for transform in self.transforms:
            inputs, targets = transform(self.position, inputs, targets)
        self._seed_dropout()
        self._set_rate(self.rates[self.position - self.rates_start])
        loss = self._compute(inputs, targets)
        self.position += 1
        return loss

    def _on_device(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """What a step does on the device. Nothing in it waits for it."""
        self.optimizer.zero_grad()
        loss = self._differentiated(inputs, targets)
        for term in self.terms:
            if term.gradient is not None:
                term.gradient()
        if self.masked is not None:
            self._update_masks()
        if self.max_gradient_norm is not None:
            nn.utils.clip_grad_norm_(self._parameters, self.max_gradient_norm)
        self.optimizer.step()
        if self.pruned is not None and self.pruned.kind == "trained":
            assert self.masked is not None
            self.pruned.hide(self.masked)
        for term in self.terms:
            if term.proximal is not None:
                with torch.no_grad():
                    term.proximal(self._bases[0] * self.rates[self.position - self.rates_start])
        if self.average is not None:
            self.average.follow()
        return loss

    def _differentiated(self, inputs: Tensor, targets: Tensor) -> Tensor:
        """The loss of a batch, whose gradients are then there: of all of it at once, or part by part."""
        if self.accumulate == 1:
            loss = self._loss(inputs, targets)
            loss.backward()  # type: ignore[no-untyped-call]
            return loss.detach()
        losses = []
        for part in zip(inputs.chunk(self.accumulate), targets.chunk(self.accumulate), strict=True):
            loss = self._loss(*part) / self.accumulate
            loss.backward()  # type: ignore[no-untyped-call]
            losses.append(loss.detach())
        return torch.stack(losses).sum()

    def _loss(self, inputs: Tensor, targets: Tensor) -> Tensor:
        outputs = self._network(inputs)
        loss = self.task.objective(outputs, targets)
        for term in self.terms:
            if term.loss is not None:
                loss = loss + term.loss(inputs, outputs, targets)
        return loss

    def _set_rate(self, rate: float) -> None:
        for on_device, base in zip(self._rates, self._bases, strict=False):
            on_device.fill_(base * rate)
        if not self._rates:
            for group, base in zip(self.optimizer.param_groups, self._bases, strict=True):
                group["lr"] = base * rate

    def _seed_dropout(self) -> None:
        # Layers with dropout draw from torch's own generators: give every step its own place in the stream.
        seed = self._dropout.seed(self.position)
        torch.default_generator.manual_seed(seed)
        if self._device.type == "cuda":
            torch.cuda.manual_seed(seed)

    def _update_masks(self) -> None:
        """What the rules do in this step; afterwards the gradients are those that the optimizer is to see."""
        assert self.masked is not None
        if self.pruned is not None:
            self.pruned.reveal(self.masked)
        for update in self.updates:
            if update.observe is not None:
                update.observe(self.position, self.masked.mask, self.masked.gradients())
            if update.due(self.position):
                self._update_mask(update)
        if self.pruned is not None and self.pruned.kind == "trained":
            return  # the optimizer moves what is pruned too, which is then hidden
        if self.pruned is not None:
            self.pruned.hide(self.masked)
        self.masked.mask_gradients()

    def _update_mask(self, update: MaskUpdate) -> None:
        assert self.masked is not None
        assert self.units is not None
        old = self.masked.mask
        new = update.update(self.position, old, self.masked.gradients())
        if self.pruned is None or self.pruned.kind == "frozen":
            # What was removed, and what has just regrown, starts again at zero: weights and optimizer state.
            both = MaskedParameters(self.model, self.units, overlap(old, new))
            if self.pruned is None:
                both.zero_weights()
            both.zero_optimizer(self.optimizer)
        self.masked = MaskedParameters(self.model, self.units, new)
        if self.average is not None:
            MaskedParameters(self.average.model, self.units, new).zero_weights()

    @property
    def mask(self) -> Mask | None:
        """The mask as it is now."""
        return None if self.masked is None else self.masked.mask

    def _gathers(self, stop: int) -> Iterator[Gather]:
        """The examples of each step: a new order every epoch of the clock, incomplete batches dropped."""
        augment = self.streams.rng("augment")
        for step in range(self.position, stop):
            epoch, within = divmod(step, self.steps_per_epoch)
            if epoch != self._epoch:
                shuffled = torch.from_numpy(self.streams.rng("order").permutation(self.train.size, epoch))
                if self._device.type == "cuda":
                    shuffled = shuffled.pin_memory()  # else the copy would wait for the device
                self._epoch, self._order = epoch, shuffled.to(self._device, non_blocking=True)
            yield Gather(self._order[within * self.batch : (within + 1) * self.batch], augment.seed(step))


def _take(batches: Iterator[Batch], count: int) -> Iterable[Batch]:
    for _ in range(count):
        yield next(batches)
