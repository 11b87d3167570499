"""Utility of weights: how far a network's answers move when weights are taken out.

U(Ws) is the mean over images of KL(f_W(x) || f_{W without Ws}(x)) in nats, f the softmax output.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, pstdev, stdev
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from prunebench import ContractError
from prunebench.kernels.batch_size import batch_for
from prunebench_plugins.analyses._ablation import Ablation
from prunebench_plugins.analyses._rewriting import has_images, rewritten

if TYPE_CHECKING:
    from prunebench.api.data import Batch, Gather, Split

KEPT_BYTES = 2**30
"""Normalised images that are kept for all subsets; more of them are read anew for each."""

LEAST = 20
"""Subsets that are measured before a sequential stop may look at their spread."""


@dataclass
class Sample:
    """The utilities of the subsets of one size, and the accuracies of the network without each of them."""

    utilities: list[float] = field(default_factory=list)
    accuracies: list[float] = field(default_factory=list)

    @property
    def standard_error(self) -> float:
        """Of the mean utility; infinite where that is no number."""
        if not math.isfinite(sum(self.utilities)):
            return math.inf
        return stdev(self.utilities) / math.sqrt(len(self.utilities))

    def statistics(self) -> dict[str, float]:
        """Of utility and accuracy; `sd` is the imbalance of definition 3, divided by n. Infinite ones are left out."""
        found = {
            "mean": fmean(self.utilities),
            "sd": pstdev(self.utilities) if math.isfinite(sum(self.utilities)) else math.nan,
            "minimum": min(self.utilities),
            "maximum": max(self.utilities),
            "accuracy_mean": fmean(self.accuracies),
            "accuracy_minimum": min(self.accuracies),
            "accuracy_maximum": max(self.accuracies),
        }
        return {name: value for name, value in found.items() if math.isfinite(value)}


@dataclass(frozen=True)
class Measured:
    """What one state gave.

    Args:
        kind: "" for a state of the judged run, "pretrained" for the end of the dense one.
        samples: by ratio; by magnitude, one utility an interval.
        starts: by ratio, the share of the weights that are smaller than each interval.
    """

    kind: str
    round: int
    position: str
    accuracy: float
    samples: Mapping[float, Sample]
    starts: Mapping[float, Sequence[float]]


class Images:
    """The images that utilities are means over: all of a split, or evenly spaced ones; never augmented."""

    def __init__(self, split: Split, count: int | None) -> None:
        self._split = split
        size = split.size if count is None else count
        self._indices = torch.arange(size) * split.size // size
        self._batch, self._layout = size, torch.contiguous_format
        self._kept: list[Batch] | None = None

    @property
    def count(self) -> int:
        """How many images."""
        return self._indices.numel()

    def fit(self, network: nn.Module) -> None:
        """Choose how many images pass through a network at a time."""
        self._batch = batch_for(network, self.first(1))
        self._layout = torch.channels_last if has_images(network) else torch.contiguous_format
        self._kept = None

    def first(self, count: int) -> Tensor:
        """Some images, normalised."""
        ((images, _),) = self._split.batches([_gather(self._indices[:count])])
        return images

    def batches(self) -> Iterable[Batch]:
        """All of them, in order."""
        if self._kept is None:
            if self.first(1).nbytes * self.count > KEPT_BYTES:
                return self._read()
            self._kept = list(self._read())
        return self._kept

    def _read(self) -> Iterator[Batch]:
        for images, labels in self._split.batches(_gather(part) for part in torch.split(self._indices, self._batch)):
            yield images.contiguous(memory_format=self._layout), labels


class Utility:
    """Measures subsets of the weights of one state.

    Args:
        model: the network with the state loaded; it is not changed.
        alive: for each weight tensor, which weights may be ablated.
    """

    def __init__(self, model: nn.Module, alive: Mapping[str, Tensor], images: Images) -> None:
        images.fit(model)
        self._network = rewritten(model, alive.keys(), images.first(4))
        self._ablation = Ablation(self._network, alive)
        self._images = images
        self._labels = torch.cat([labels for _, labels in images.batches()])
        with torch.inference_mode():
            logits = self._logits()
            if logits.ndim != 2:
                raise ContractError("utility is of networks that put out a number for each class of an example")
            self._reference = torch.log_softmax(logits.double(), 1)
        self.accuracy = self._accuracy(logits)

    @property
    def count(self) -> int:
        """Weights that may be ablated."""
        return self._ablation.count

    def of(self, chosen: Tensor) -> tuple[float, float]:
        """Utility of a subset in nats, and the accuracy without it."""
        with torch.inference_mode(), self._ablation.without(chosen):
            logits = self._logits()
            return self._divergence(logits), self._accuracy(logits)

    def sample(self, subsets: Iterable[Tensor], tolerance: float | None) -> Sample:
        """Subsets one after the other; with a tolerance, until the standard error of the mean falls under it."""
        sample = Sample()
        for chosen in subsets:
            utility, accuracy = self.of(chosen)
            sample.utilities.append(utility)
            sample.accuracies.append(accuracy)
            if tolerance is not None and len(sample.utilities) >= LEAST and sample.standard_error < tolerance:
                break
        return sample

    def _logits(self) -> Tensor:
        return torch.cat([self._network(images) for images, _ in self._images.batches()])

    def _divergence(self, logits: Tensor) -> float:
        total = torch.zeros((), dtype=torch.float64, device=logits.device)
        # Not all at once: with many classes and images, three tensors in double precision are large.
        for reference, other in zip(torch.split(self._reference, 65_536), torch.split(logits, 65_536), strict=True):
            difference = reference - torch.log_softmax(other.double(), 1)
            total += (reference.exp() * difference).sum()
        return float(total) / logits.shape[0]

    def _accuracy(self, logits: Tensor) -> float:
        return int((logits.argmax(1) == self._labels).sum()) / logits.shape[0]


def alive_magnitudes(weights: Mapping[str, Tensor], alive: Mapping[str, Tensor]) -> Tensor:
    """|w| of the weights that an Ablation numbers, in its order."""
    return torch.cat([weights[name].detach().abs().cpu()[keep.cpu()] for name, keep in alive.items()])


def _gather(indices: Tensor) -> Gather:
    from prunebench.api.data import Gather

    return Gather(indices)
