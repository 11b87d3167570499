"""A network's metrics over batches: sums stay on the device, in float64, until the last batch is done."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from prunebench.api.data import Batch
from prunebench.api.task import Task, Totals


def evaluate(
    network: Callable[[Tensor], Tensor], task: Task, batches: Iterable[Batch]
) -> tuple[dict[str, float], Tensor | None]:
    """The task's metrics over batches of a split, and which examples are right, on the device.

    One synchronisation with the device in all. The network is called as it is: in evaluation mode, and without
    gradients, is the caller's part.
    """
    sums: dict[str, list[Tensor]] = {}
    known: dict[str, float] = {}
    correct: list[Tensor] = []
    for batch in batches:
        inputs, targets = task.batch(*batch)
        part = task.contribution(network(inputs), targets)
        for name, value in part.sums.items():
            if isinstance(value, Tensor):
                sums.setdefault(name, []).append(value.double())
            else:
                known[name] = known.get(name, 0.0) + value
        if part.correct is not None:
            correct.append(part.correct)
    on_host = {name: torch.tensor(value, dtype=torch.float64) for name, value in known.items()}
    values = task.values({**_totals(sums), **on_host})
    return {name: float(value) for name, value in values.items()}, torch.cat(correct) if correct else None


class Varying:
    """A network that notes whether its outputs vary with the examples that it is given.

    The first output is kept until another one differs from it; after that nothing is looked at. Outputs on equal
    activations may differ by how a kernel rounds: what is less than 1e-6 of the largest output is no difference.
    """

    def __init__(self, network: Callable[[Tensor], Tensor]) -> None:
        self._network = network
        self._first: Tensor | None = None
        self.varies = False

    def __call__(self, inputs: Tensor) -> Tensor:
        """The network's outputs."""
        outputs = self._network(inputs)
        if not self.varies and isinstance(outputs, Tensor) and len(outputs):
            if self._first is None:
                self._first = outputs[:1].detach().clone()
            span = (outputs - self._first).abs().max()
            # A difference that is no number says nothing of the network's being cut through.
            self.varies = not bool(span <= 1e-6 * self._first.abs().max())
        return outputs


def _totals(sums: Mapping[str, Sequence[Tensor]]) -> Totals:
    """Sums over all batches, copied from the device in one piece."""
    if not sums:
        return {}
    totals = [torch.stack([*parts]).sum(0) for parts in sums.values()]
    flat = torch.cat([total.reshape(-1) for total in totals]).cpu()
    pieces = torch.split(flat, [total.numel() for total in totals])
    return {name: p.reshape(t.shape) for name, p, t in zip(sums, pieces, totals, strict=True)}
