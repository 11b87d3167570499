"""The covariance of what layers read in several networks: the metric in which weights differ by what they do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from prunebench.kernels.calibration import LayerInputs
from prunebench.kernels.networks import copied

AT_ONCE = 250
"""Inputs in one forward pass."""


def activation_metrics(
    who: str, model: nn.Module, states: Sequence[Mapping[str, Tensor]], inputs: Sequence[Tensor], names: Sequence[str]
) -> dict[str, Tensor]:
    """For each layer's weight, the mean over the states of the covariance of what its columns read.

    Args:
        who: what errors begin with.
        model: is copied; `states`: the weights that it has in turn, in evaluation mode.
        inputs: batches as it takes them.
        names: of weights of convolutions and linear layers.
    Returns: (groups, columns, columns), float64 on the CPU, positive semi-definite. A convolution's inputs are the
        patches under its kernel, each place of each image one of them.
    Raises:
        ContractError: what a layer reads is not known.
    """
    network = copied(model).eval()
    parts = [part for batch in inputs for part in torch.split(batch, AT_ONCE)]
    covariances: dict[str, Tensor] = {}
    for state in states:
        network.load_state_dict(dict(state))
        read = LayerInputs(who, network, parts, names)
        moments = _Moments()
        read.look(names, moments.add)
        for name in names:
            share = moments.covariance(name) / len(states)
            covariances[name] = covariances[name] + share if name in covariances else share
    return covariances


class _Moments:
    """Sums of columns and of their products, for each layer."""

    def __init__(self) -> None:
        self._sums: dict[str, tuple[Tensor, Tensor, int]] = {}

    def add(self, name: str, columns: Tensor) -> None:
        """One batch's columns: (groups, columns, places)."""
        exact = columns.double()
        products, total, places = exact @ exact.mT, exact.sum(-1), exact.shape[-1]
        if name in self._sums:
            before = self._sums[name]
            products, total, places = products + before[0], total + before[1], places + before[2]
        self._sums[name] = products, total, places

    def covariance(self, name: str) -> Tensor:
        """Centred, over all places."""
        products, total, places = self._sums[name]
        mean = total / places
        covariance = (products / places - mean[:, :, None] * mean[:, None, :]).cpu()
        # A column that is constant has rounding in place of 0, and would count.
        diagonal, power = covariance.diagonal(dim1=-2, dim2=-1), (products.diagonal(dim1=-2, dim2=-1) / places).cpu()
        silent = diagonal <= 1e-12 * power
        return covariance.masked_fill(silent[:, :, None] | silent[:, None, :], 0.0)
