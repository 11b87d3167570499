"""Splits that do not fit in memory: images are decoded from their files by threads, ahead of the training loop.

Batches are bit-equal to those of a split that lives on the device (`prunebench.api.data.Resident`). Threads, not
processes: decoding lets go of the interpreter's lock, a worker of a run may have no children, and nothing is left when
a run ends. Of timm's loader, `fast_collate` and `PrefetchLoader` are used. Its samplers choose the images themselves,
and its `ImageDataset` takes the next image for one that it cannot read, so these two are not.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar, cast

import torch
from torch import Tensor

from prunebench.api.data import Augmentation, Batch, Gather, preparation
from prunebench.api.random import mix

if TYPE_CHECKING:
    from torch.utils.data import DataLoader

AHEAD = 512
"""Images that are decoded before they are asked for, at most."""

Item = TypeVar("Item")
Result = TypeVar("Result")


def ahead(work: Callable[[Item], Result], items: Iterable[Item], most: int = AHEAD) -> Generator[Result, None, None]:
    """What `work` gives for each item, in order; threads work on up to `most` items that were not asked for yet.

    `items` is read in the calling thread. When the iterator is closed, or an item fails, the threads end.
    """
    pool = ThreadPoolExecutor(min(16, os.cpu_count() or 1), "prunebench-ahead")
    pending: deque[Future[Result]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > most:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


@dataclass(frozen=True)
class Streaming:
    """A split whose images are loaded when they are needed.

    Args:
        load: the image of an index, (C, H, W) uint8 on the CPU, always the same; called by several threads at a time.
            What it raises ends the stream, so it should name the file.
        labels: (N,) int64, on the CPU.
        mean: of the channels of images scaled to 0..1.
        std: likewise.
        augment: of whole batches, on the device.
        device: where the batches go.
    """

    load: Callable[[int], Tensor]
    labels: Tensor
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: Augmentation | None = None
    cut: Callable[[int, Tensor], Tensor] | None = None
    """(index, uniform numbers (4, 10)) -> as `load`, a random part of the image; where a gather has a seed, in place of
    `load`, so that only that part is brought to size."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))

    @property
    def size(self) -> int:
        """How many images."""
        return int(self.labels.numel())

    def to(self, device: torch.device) -> Streaming:
        """This split with its batches on `device`."""
        return replace(self, device=device)

    def batches(self, gathers: Iterable[Gather]) -> Iterator[Batch]:
        """See Split.batches; `gathers` is read ahead by about AHEAD images."""
        from timm.data.loader import PrefetchLoader

        prepared = preparation(self.mean, self.std, self.augment, self.device)
        seeds: deque[int | None] = deque()
        with closing(self._collated(gathers, seeds)) as collated:
            batches: Iterable[Batch] = collated
            if self.device.type == "cuda":
                # Copies the next batch beside the work on this one. It gives the bytes as they are, in float32: it
                # would normalise before the augmentation.
                zeros, ones = (0.0,) * len(self.mean), (1 / 255,) * len(self.mean)
                loader = cast("DataLoader[Any]", collated)
                batches = PrefetchLoader(loader, zeros, ones, channels=len(self.mean), device=self.device)
            for images, labels in batches:
                yield prepared(images.to(self.device, torch.uint8), seeds.popleft()), labels.to(self.device)

    def _collated(self, gathers: Iterable[Gather], seeds: deque[int | None]) -> Generator[Batch, None, None]:
        """A uint8 batch and its labels for each gather, on the CPU; leaves the gather's seed in `seeds`."""
        from timm.data.loader import fast_collate

        wanted: deque[tuple[int, int | None]] = deque()
        cut = self.cut

        def asked() -> Iterator[tuple[int, Tensor | None]]:
            for gather in gathers:
                chosen = gather.indices.tolist()
                wanted.append((len(chosen), gather.seed))
                if cut is None or gather.seed is None:
                    yield from ((index, None) for index in chosen)
                else:
                    # Another seed than that of the augmentation, which must not draw the same numbers.
                    generator = torch.Generator().manual_seed(mix(gather.seed) >> 1)
                    yield from zip(chosen, torch.rand(len(chosen), 4, 10, generator=generator), strict=True)

        def loaded(one: tuple[int, Tensor | None]) -> tuple[Tensor, int]:
            index, numbers = one
            image = self.load(index) if cut is None or numbers is None else cut(index, numbers)
            return image, int(self.labels[index])

        with closing(ahead(loaded, asked())) as images:
            batch = []
            for image in images:
                batch.append(image)
                if len(batch) == wanted[0][0]:
                    seeds.append(wanted.popleft()[1])
                    collated, labels = fast_collate(batch)  # type: ignore[no-untyped-call]
                    batch = []
                    pinned = self.device.type == "cuda"
                    yield (collated.pin_memory(), labels.pin_memory()) if pinned else (collated, labels)
