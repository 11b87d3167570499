"""Predicting the next token: a row of tokens is its own target, one place on.

The objective is the mean cross-entropy over all places of all rows. Perplexity, its exponential, is how many tokens
the network hesitates between; a row is neither right nor wrong, so there is no correctness of examples.

Source: Bengio et al. 2003, section 4 (perplexity); an example of this package.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.task import Contribution, MetricInfo, Metrics, Task

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.data import Batch
    from prunebench.api.info import DataInfo
    from prunebench.api.task import Totals


class NextToken:
    """Maps tokens (B, length) to logits (B, length, vocabulary)."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_metrics(self) -> Metrics:
        """`perplexity`, by which networks are ranked, and `loss`; both are better when lower."""
        return {
            "perplexity": MetricInfo(unit="", higher=False, low=1.0),
            "loss": MetricInfo(unit="nats", higher=False, low=0.0),
        }

    @hookimpl
    def prunebench_task(self) -> Task:
        """A network sees all tokens of a row but the last, and is to give all but the first."""
        import torch
        from torch.nn.functional import cross_entropy

        def shifted(rows: Tensor, targets: Tensor) -> Batch:
            return rows[:, :-1], rows[:, 1:]

        def objective(outputs: Tensor, targets: Tensor) -> Tensor:
            return cross_entropy(outputs.flatten(0, 1), targets.flatten())

        def contribution(outputs: Tensor, targets: Tensor) -> Contribution:
            loss = cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="sum")
            return Contribution({"loss": loss, "tokens": targets.numel()})

        def values(totals: Totals) -> dict[str, Tensor]:
            loss = totals["loss"] / totals["tokens"]
            return {"perplexity": loss.exp(), "loss": loss}

        def example(info: DataInfo) -> Tensor:
            return torch.zeros(1, info.shape[0] - 1, dtype=torch.int64)

        return Task(objective, contribution, values, example, shifted, targets=example)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `next-token`."""
    yield Component("next-token", ComponentConfig, NextToken, version=1, paper="Bengio et al. 2003")
