"""Units that own slices of parameters: scored, masked and removed together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import torch

from prunebench.api.info import Layer
from prunebench.api.masks import Mask, Member, Scores, Units
from prunebench.kernels.weight_units import masked_copy
from prunebench_plugins.units._removal import keep_only

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench_plugins.units._coupling import Group

Combine = Literal["sum", "mean", "max"]


class ChannelUnits(Units):
    """One unit per channel of each group.

    Args:
        model: the network whose weights are scored; it may be on the meta device.
        groups: what may be pruned.
        combine: how the scores of a unit's members become one.
        keep_at_least: the floor of each layer; a layer with fewer units than that keeps all of them.
        excluded: names of groups that cannot be pruned, with the reasons.
    """

    def __init__(
        self,
        model: nn.Module,
        groups: Sequence[Group],
        combine: Combine = "sum",
        keep_at_least: int = 1,
        excluded: Mapping[str, str] | None = None,
    ) -> None:
        self._model = model
        self._members = tuple(group.members for group in groups)
        self._combine = combine
        self.excluded: Mapping[str, str] = dict(excluded or {})
        layers: list[Layer] = []
        start = 0
        for group in groups:
            layers.append(Layer(group.name, start, group.count, group.kind, min(keep_at_least, group.count)))
            start += group.count
        self.layers = tuple(layers)
        self._shapes = {
            member.parameter: model.get_parameter(member.parameter).shape for owned in self._members for member in owned
        }

    def members(self) -> Sequence[Sequence[Member]]:
        """See Units.members."""
        return self._members

    def combine(self, scores: Sequence[Tensor]) -> Tensor:
        """The sum, mean or maximum of the members' scores, as `combine` says."""
        stacked = torch.stack([*scores])
        if self._combine == "max":
            return stacked.amax(0)
        return stacked.mean(0) if self._combine == "mean" else stacked.sum(0)

    def reduce(self, score: Callable[[str, Tensor], Tensor]) -> Scores:
        """The scores of what makes a unit, summed within each member and combined over members.

        What makes it: weights that produce it, its biases, scale and shift of its norm layers. The weights that read
        it are left out: they make channels of other layers, and would count twice.
        """
        values = []
        scored: dict[str, Tensor] = {}
        for owned in self._members:
            sums = []
            for member in owned:
                if member.role == "in":
                    continue
                name = member.parameter
                if name not in scored:
                    scored[name] = score(name, self._model.get_parameter(name).detach())
                sums.append(member.slices(scored[name]).sum(1))
            values.append(self.combine(sums))
        return Scores(tuple(values))

    def expand(self, mask: Mask) -> Mapping[str, Tensor]:
        """See Units.expand; a removed unit zeroes everything that it owns, the weights that read it included."""
        keep = {name: torch.ones(shape, dtype=torch.bool, device="cpu") for name, shape in self._shapes.items()}
        for owned, kept in zip(self._members, mask.keep, strict=True):
            for member in owned:
                keep[member.parameter].index_fill_(member.dim, member.indices[~kept].reshape(-1), False)
        return keep

    def shrink(self, model: nn.Module, mask: Mask) -> nn.Module:
        """The network without the units that the mask removes: smaller and dense.

        A layer of which nothing is kept leaves one channel of zeros, because modules cannot be empty.
        """
        stays: dict[tuple[str, int], Tensor] = {}
        for owned, kept in zip(self._members, mask.keep, strict=True):
            physical = kept.clone()
            if not bool(physical.any()):
                physical[0] = True
            for member in owned:
                at = member.parameter, member.dim
                if at not in stays:
                    size = self._shapes[member.parameter][member.dim]
                    stays[at] = torch.ones(size, dtype=torch.bool, device="cpu")
                stays[at][member.indices[~physical].reshape(-1)] = False
        # What stays of an empty layer must be 0, so the copy is masked before it is cut.
        masked = masked_copy(model, self.expand(mask))
        return keep_only(masked, {at: kept.nonzero()[:, 0] for at, kept in stays.items()})
