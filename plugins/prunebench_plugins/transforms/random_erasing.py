"""Random erasing: a box of an image, drawn anew each time, gives way to noise or to the mean.

By timm, on normalised images, so that 0 is the mean and noise is that of a standard normal distribution.

Source: Zhong et al. 2020 (Random erasing data augmentation), algorithm 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from prunebench import Component, ComponentConfig, ContractError, hookimpl

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.info import DataInfo
    from prunebench.api.random import Rng
    from prunebench.api.training import BatchTransform


class RandomErasingConfig(ComponentConfig):
    """What is erased.

    Args:
        probability: that an image loses a box; the recipes of DeiT and ConvNeXt have 0.25.
        least, most: the box's share of the image's area.
        fill: "pixel" noise, one "colour" of noise for each channel, or the "mean".
    """

    probability: float = Field(default=0.25, gt=0, le=1)
    least: float = Field(default=0.02, gt=0, lt=1)
    most: float = Field(default=1 / 3, gt=0, lt=1)
    fill: Literal["pixel", "colour", "mean"] = "pixel"

    @model_validator(mode="after")
    def _in_order(self) -> RandomErasingConfig:
        if self.least > self.most:
            raise ValueError(f"`least` ({self.least:g}) is above `most` ({self.most:g})")
        return self


class RandomErasing:
    """Erases a box of some of the images."""

    def __init__(self, config: RandomErasingConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_transforms(self, data_info: DataInfo, rng: Rng) -> list[BatchTransform]:
        """One transform, which draws at its step, for each image on its own; targets stay.

        Raises:
            ContractError: the data are no images.
        """
        from timm.data.random_erasing import RandomErasing as Erase

        from prunebench.kernels.networks import seeded

        config = self._config
        if len(data_info.shape) != 3:
            raise ContractError("transforms random-erasing: it erases parts of images, and these data are none")
        mode = {"pixel": "pixel", "colour": "rand", "mean": "const"}[config.fill]

        def erased(step: int, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            erase = Erase(config.probability, config.least, config.most, mode=mode, device=str(inputs.device))  # type: ignore[no-untyped-call]
            with seeded(rng.seed(step)):  # timm draws from Python's and torch's generators
                return erase(inputs), targets

        return [erased]


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `random-erasing`."""
    yield Component("random-erasing", RandomErasingConfig, RandomErasing, version=1, paper="Zhong et al. 2020")
