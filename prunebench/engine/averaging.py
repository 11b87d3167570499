"""The exponential moving average of a network's weights, as the steps of a run go by.

Source: Polyak & Juditsky 1992 (averaging); Szegedy et al. 2016 (Rethinking the Inception architecture), section 8.
"""

from __future__ import annotations

import torch
from torch import nn

from prunebench.kernels.networks import copied


class Average:
    """A second network that follows the first: after each step, own = decay * own + (1 - decay) * the first's.

    Parameters and the statistics of norm layers are averaged; counters are copied. What is 0 in both stays exactly 0.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.model = copied(model).eval().requires_grad_(False)
        self._decay = decay
        pairs = [
            pair
            for own, other in ((self.model.parameters(), model.parameters()), (self.model.buffers(), model.buffers()))
            for pair in zip(own, other, strict=True)
        ]
        self._averaged = [(own, other) for own, other in pairs if own.is_floating_point()]
        self._counted = [(own, other) for own, other in pairs if not own.is_floating_point()]

    @torch.no_grad()
    def follow(self) -> None:
        """One step of the average."""
        own, other = zip(*self._averaged, strict=True)
        torch._foreach_lerp_(own, other, 1 - self._decay)
        for counter, value in self._counted:
            counter.copy_(value)
