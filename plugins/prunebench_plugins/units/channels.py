"""Channels: coupled groups that a dense network can lose, found through its dependency graph.

A unit owns all that belongs to one channel: the rows that produce it with their biases, scale and shift of norm
layers, and the columns that read it. Where layers must agree on their channels (residual sums, depthwise and grouped
convolutions) one unit spans them all; a group of a grouped convolution, and a head of attention, goes as a whole.

A channel of zeros must be the same as none, or the masked network would not be the small one. Groups for which that
does not hold are left out, and the units say why (`excluded`): channels that a layer norm or group norm averages
over, norm layers without scale and shift, zero-padded shortcuts, and all that a trial on a twin of the network refutes.

Source: Fang et al. 2023 (DepGraph; the torch-pruning package); Li et al. 2017 and Liu et al. 2017 (filters as units).
"""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from prunebench import CannotTakePart, Component, ComponentConfig, PlanError, hookimpl
from prunebench.api.errors import nearest

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.info import DataInfo
    from prunebench_plugins.units._channel_units import ChannelUnits


TRACED = 4
"""Inputs that are followed through a network at a time."""


class ChannelsConfig(ComponentConfig):
    """Which channels may be pruned, and how the scores of what a channel owns become one.

    Args:
        combine: over the members of a unit, such as the producers that a residual sum couples; "sum" as in the papers.
        keep_at_least: units that every group keeps; 0 allows a layer to collapse.
        kinds: "conv" and "linear" by the first layer that produces a channel (the widths of a transformer's MLP are
            "linear"), "heads" for those of attention.
        include, exclude: patterns of shells on names of groups, which are those of the first producer's weight, such
            as "layer1.0.conv1.weight"; `include` keeps only what matches one (all, if empty), `exclude` takes out.
    """

    combine: Literal["sum", "mean", "max"] = "sum"
    keep_at_least: Annotated[int, Field(ge=0)] = 1
    kinds: tuple[Literal["conv", "linear", "heads"], ...] = ("conv", "linear", "heads")
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()


class Channels:
    """One unit per coupled channel; the classifier's outputs always stay."""

    def __init__(self, config: ChannelsConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_units(self, model: nn.Module, data_info: DataInfo, example: Tensor) -> ChannelUnits:
        """The channels of the groups that the configuration names.

        Raises:
            CannotTakePart: the network cannot be traced (its module and the reason are named), or nothing is left to
                prune.
            PlanError: a pattern matches no group.
        """
        from prunebench.kernels.noise import batch_like
        from prunebench.kernels.weight_units import classifier_weights
        from prunebench_plugins.units._channel_units import ChannelUnits
        from prunebench_plugins.units._coupling import groups
        from prunebench_plugins.units._trace import graph, twin
        from prunebench_plugins.units._trial import failures

        config = self._config
        network, inputs = twin(model, batch_like(example, TRACED, 1))
        found = groups(network, graph(network, inputs), classifier_weights(model, example, data_info.classes))
        excluded = {group.name: group.reason for group in found if group.reason is not None}
        possible = [group for group in found if group.reason is None]
        excluded |= failures(network, inputs, possible)
        candidates = {g.name: g for g in possible if g.name not in excluded and g.kind in config.kinds}
        for field, patterns in (("include", config.include), ("exclude", config.exclude)):
            for pattern in patterns:
                if not any(fnmatchcase(name, pattern) for name in candidates):
                    raise PlanError(f'channels: {field}: "{pattern}" {_no_group(pattern, list(candidates), excluded)}')
        chosen = [
            group
            for name, group in candidates.items()
            if (not config.include or any(fnmatchcase(name, pattern) for pattern in config.include))
            and not any(fnmatchcase(name, pattern) for pattern in config.exclude)
        ]
        if not chosen:
            # A reason begins with the name of a module: one of each kind is enough.
            kinds = {reason.partition(" ")[2]: f"\n    {name}: {reason}" for name, reason in reversed(excluded.items())}
            why = "".join(reversed(kinds.values()))
            raise CannotTakePart(f"channels: no group is left to prune; see `kinds`, `include` and `exclude`{why}")
        return ChannelUnits(model, chosen, config.combine, config.keep_at_least, excluded)


def _no_group(pattern: str, names: list[str], excluded: dict[str, str]) -> str:
    for name, reason in excluded.items():
        if fnmatchcase(name, pattern):
            return f'matches "{name}", whose channels cannot be pruned: {reason}'
    return f"matches no group of channels.{nearest(pattern, names)}"


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `channels`."""
    yield Component("channels", ChannelsConfig, Channels, version=1, paper="Fang et al. 2023")
