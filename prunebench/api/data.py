"""Data sets: splits that yield batches, resident on a device or streamed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol, TypeAlias

from prunebench.api.info import DataInfo
from prunebench.api.random import Rng

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Batch: TypeAlias = "tuple[Tensor, Tensor]"
"""Inputs and targets of some examples, one a row. Data without targets of its own gives targets of shape (B, 0)."""
Augmentation: TypeAlias = "Callable[[Tensor, torch.Generator], Tensor]"
"""(uint8 batch of shape (B, C, H, W), generator on its device) -> uint8 batch; one random decision an image."""


@dataclass(frozen=True)
class Gather:
    """Which examples make one batch, and the seed of their augmentation; None leaves them as they are."""

    indices: Tensor
    seed: int | None = None


class Split(Protocol):
    """A part of a data set. Streaming sources may read ahead in `gathers`, which is why it is an iterable."""

    @property
    def size(self) -> int:
        """How many examples."""
        ...

    def batches(self, gathers: Iterable[Gather]) -> Iterator[Batch]:
        """For each gather, inputs (B, *shape) and targets (B, ...), on the device.

        Inputs are what the task and the network take: of images, float32 and normalised, with int64 classes as targets;
        of tokens, int64.
        """
        ...

    def to(self, device: torch.device) -> Split:
        """This split with its batches on `device`."""
        ...


@dataclass(frozen=True)
class ResidentTensors:
    """A split of any kind that lives on the device as it is: inputs (N, *shape), targets (N, ...). Never augmented."""

    inputs: Tensor
    targets: Tensor

    @property
    def size(self) -> int:
        """How many examples."""
        return int(self.inputs.shape[0])

    def to(self, device: torch.device) -> ResidentTensors:
        """This split on `device`."""
        return replace(self, inputs=self.inputs.to(device), targets=self.targets.to(device))

    def batches(self, gathers: Iterable[Gather]) -> Iterator[Batch]:
        """See Split.batches."""
        for gather in gathers:
            indices = gather.indices.to(self.inputs.device)
            yield self.inputs.index_select(0, indices), self.targets.index_select(0, indices)


@dataclass(frozen=True)
class Resident:
    """A split of images that lives on the device as uint8: images (N, C, H, W), labels (N,) int64.

    `mean` and `std` are of the channels of images scaled to 0..1.
    """

    images: Tensor
    labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: Augmentation | None = None

    @property
    def size(self) -> int:
        """How many images."""
        return int(self.labels.numel())

    def to(self, device: torch.device) -> Resident:
        """This split on `device`."""
        return replace(self, images=self.images.to(device), labels=self.labels.to(device))

    def batches(self, gathers: Iterable[Gather]) -> Iterator[Batch]:
        """See Split.batches."""
        device = self.images.device
        prepared = preparation(self.mean, self.std, self.augment, device)
        for gather in gathers:
            indices = gather.indices.to(device)
            yield prepared(self.images.index_select(0, indices), gather.seed), self.labels.index_select(0, indices)


def preparation(
    mean: tuple[float, ...], std: tuple[float, ...], augment: Augmentation | None, device: torch.device
) -> Callable[[Tensor, int | None], Tensor]:
    """What turns a uint8 batch on `device` and the seed of its gather into what a model sees.

    Augmentation runs on the uint8 batch, before normalisation, as on single images. Every split uses this, so that
    it does not matter for the numbers where images come from.
    """
    import torch

    scale = (1.0 / (255.0 * torch.tensor(std, device=device))).view(1, -1, 1, 1)
    shift = (torch.tensor(mean, device=device) / torch.tensor(std, device=device)).view(1, -1, 1, 1)
    generator = torch.Generator(device=device)

    def prepared(images: Tensor, seed: int | None) -> Tensor:
        if augment is not None and seed is not None:
            images = augment(images, generator.manual_seed(seed))
        return images.float().mul_(scale).sub_(shift)

    return prepared


@dataclass(frozen=True)
class Data:
    """The splits of a data set, and what planning knows of it."""

    info: DataInfo
    splits: Mapping[str, Split]
    again: Callable[[Rng], Data] | None = None
    """The same data as another stream "split" divides it, on the CPU: nothing is read, hashed or decoded twice. None
    where that takes a new call of the hook."""

    def __getitem__(self, split: str) -> Split:
        return self.splits[split]

    def to(self, device: torch.device) -> Data:
        """All splits on `device`."""
        return replace(self, splits={name: split.to(device) for name, split in self.splits.items()})


def in_order(size: int, batch: int) -> Iterator[Gather]:
    """Every example once, in order, un-augmented: for measuring."""
    import torch

    for start in range(0, size, batch):
        yield Gather(torch.arange(start, min(start + batch, size)))
