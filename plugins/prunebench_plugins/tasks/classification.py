"""Classification: cross-entropy, and the share of examples whose largest output is that of their class.

Targets are classes, int64 of shape (B,); the objective also takes soft ones, float of shape (B, classes), which mixed
examples have. Label smoothing gives a share of each target to all classes alike.

Source: Szegedy et al. 2016, section 7 (label smoothing); Russakovsky et al. 2015, section 4 (the five largest).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.task import Contribution, MetricInfo, Metrics, Task, Totals

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.info import DataInfo

FIVE = 5


class ClassificationConfig(ComponentConfig):
    """`top5`: measure `top5_accuracy` too, the share of examples whose class is among the five largest outputs."""

    measured: ClassVar = frozenset({"top5"})

    top5: bool = False


class Classification:
    """Maps a batch to logits (B, classes)."""

    def __init__(self, config: ClassificationConfig) -> None:
        self._top5 = config.top5

    @hookimpl
    def prunebench_metrics(self) -> Metrics:
        """`accuracy`, `loss`, and `top5_accuracy` if it was asked for."""
        share = MetricInfo(unit="fraction", higher=True, low=0.0, high=1.0)
        found = {"accuracy": share, "loss": MetricInfo(unit="nats", higher=False, low=0.0)}
        return {**found, "top5_accuracy": share} if self._top5 else found

    @hookimpl
    def prunebench_task(self, label_smoothing: float) -> Task:
        """Batches stay as they are; a network takes float32 of the data's shape."""
        import torch
        from torch.nn.functional import cross_entropy

        def contribution(outputs: Tensor, targets: Tensor) -> Contribution:
            correct = outputs.argmax(1) == targets
            sums: dict[str, Tensor | float] = {
                "examples": targets.numel(),
                "correct": correct.sum(),
                "loss": cross_entropy(outputs, targets, reduction="sum"),
            }
            if self._top5:
                sums["top5"] = among(outputs, targets, FIVE).sum()
            return Contribution(sums, correct)

        def values(totals: Totals) -> dict[str, Tensor]:
            examples = totals["examples"]
            found = {"accuracy": totals["correct"] / examples, "loss": totals["loss"] / examples}
            return {**found, "top5_accuracy": totals["top5"] / examples} if self._top5 else found

        return Task(
            objective=partial(cross_entropy, label_smoothing=label_smoothing),
            contribution=contribution,
            values=values,
            example=lambda info: torch.zeros(1, *info.shape),
            # The last class, which a network with too few outputs has no output for.
            targets=lambda info: torch.full((1,), info.classes - 1),
            misfit=misfit,
        )


def misfit(outputs: object, data: DataInfo) -> str:
    """Why outputs are no logits of the data's classes; empty if they are."""
    import torch

    if not isinstance(outputs, torch.Tensor):
        what = f"a {type(outputs).__name__}"
        return f"the network gives {what}; classification takes one tensor of (examples, {data.classes:,} classes)"
    if outputs.ndim == 2 and outputs.shape[1] == data.classes:
        return ""
    shape = " x ".join(f"{size:,}" for size in outputs.shape[1:]) or "one number"
    return (
        f"the network gives {shape} for each example, and there are {data.classes:,} classes: it must be built with "
        "as many outputs (`num_classes` of timm)"
    )


def among(outputs: Tensor, targets: Tensor, most: int) -> Tensor:
    """Whether each example's class is among the `most` largest outputs; of equal ones the lower class comes first."""
    import torch

    own = outputs.gather(1, targets[:, None])
    after = torch.arange(outputs.shape[1], device=outputs.device) >= targets[:, None]
    # What is not smaller, so that nothing is right among outputs that are not numbers.
    return (~(outputs < own) & ~((outputs == own) & after)).sum(1) < most


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `classification`."""
    yield Component("classification", ClassificationConfig, Classification, version=1, paper="Szegedy et al. 2016")
