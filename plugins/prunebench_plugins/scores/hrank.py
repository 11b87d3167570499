"""HRank: a channel is worth the mean rank of its feature maps, which hardly depends on the images.

The map of a channel in one image is a matrix of height x width. It is taken behind the norm layer, where the channel
has one, and else behind the convolution, with its negative values at 0, as a ReLU leaves it. Where several layers
produce a channel, the units combine the ranks.

Source: Lin et al. 2020 (HRank: Filter pruning using high-rank feature map), equations 4 and 5.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from prunebench import Component, ComponentConfig, ContractError, hookimpl

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Mask, Member, Scores, Units
    from prunebench.api.planning import Request
    from prunebench.api.random import Rng
    from prunebench.api.task import Task


class HRankConfig(ComponentConfig):
    """What is looked at.

    Args:
        batch, batches: training images; the paper takes 500.
        normalise: makes layers comparable in a global cut: "none", the paper's, which cuts each layer on its own;
            "mean" and "l2" divide by the mean or the L2 norm of the scores of the layer's channels that are alive.
    """

    batch: int = Field(default=50, ge=1)
    batches: int = Field(default=10, ge=1)
    normalise: Literal["none", "mean", "l2"] = "none"


class HRank:
    """Scores the mean rank of feature maps."""

    def __init__(self, config: HRankConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> None:
        """Nothing; an error where single weights are pruned."""
        from prunebench_plugins.scores._channels import refuse_single_weights

        refuse_single_weights(request, "hrank")

    @hookimpl
    def prunebench_score(
        self, model: nn.Module, data: Data, task: Task, units: Units, mask: Mask | None, rng: Rng
    ) -> Scores:
        """The mean rank of every channel's maps.

        Raises:
            ContractError: a layer's channels have no feature maps of height and width.
        """
        import torch

        from prunebench.api.masks import Scores
        from prunebench.kernels.calibration import drawn
        from prunebench_plugins.scores._channels import normalised

        config, watched = self._config, [watched_of(members) for members in units.members()]
        modules = {place_of(member): model.get_submodule(place_of(member)) for some in watched for member in some}
        ranks: dict[str, list[Tensor]] = {name: [] for name in modules}

        def note(name: str) -> Any:
            def hook(module: nn.Module, taken: Any, maps: Tensor) -> None:
                # Linear layers and their norms have their channels last, also where there are height and width.
                if maps.ndim != 4 or type(module) in (torch.nn.Linear, torch.nn.LayerNorm):
                    raise ContractError(
                        f'score hrank: "{name}" gives no feature maps of height and width; use another score'
                    )
                ranks[name].append(torch.linalg.matrix_rank(maps.clamp_min(0)).float())

            return hook

        handles = [module.register_forward_hook(note(name)) for name, module in modules.items()]
        try:
            with torch.no_grad():
                for inputs, _ in drawn(data, task, rng, config.batch, config.batches):
                    model(inputs)
        finally:
            for handle in handles:
                handle.remove()
        means = {name: torch.cat(found).mean(0) for name, found in ranks.items()}
        scores = []
        for index, (layer, members) in enumerate(zip(units.layers, watched, strict=True)):
            if not members:
                raise ContractError(
                    f'score hrank: layer "{layer.name}" has no channels to score; write units = "channels"'
                )
            each = [member.slices(means[place_of(member)]).mean(1) for member in members]
            alive = torch.ones(layer.count, dtype=torch.bool) if mask is None else mask.keep[index]
            scores.append(normalised(units.combine(each), alive.to(each[0].device), config.normalise))
        return Scores(tuple(scores))


def watched_of(members: Iterable[Member]) -> list[Member]:
    """Of what a layer's channels own, the parameters behind which their maps are taken."""
    own = list(members)
    norms = [member for member in own if member.role == "norm"]
    return norms or [member for member in own if member.role == "out"]


def place_of(member: Member) -> str:
    """The module whose output has the channels."""
    return member.parameter.rpartition(".")[0]


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `hrank`."""
    yield Component("hrank", HRankConfig, HRank, version=1, paper="Lin et al. 2020")
