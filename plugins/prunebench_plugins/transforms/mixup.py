"""Mixup and CutMix: each image is mixed with another of its batch, and so are their targets.

Mixup adds the two, weighted by a share that is drawn from Beta(alpha, alpha); CutMix puts a box of the one into the
other, and the share is that of the area. By timm, which mixes the batch with itself in reverse. The targets become a
share for each class, which the objective of `classification` takes, with its label smoothing.

Source: Zhang et al. 2018 (mixup), equation 1; Yun et al. 2019 (CutMix), section 3.1; both as in Touvron et al. 2021
(DeiT), table 9, and Liu et al. 2022 (ConvNeXt), table 5.
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


class MixupConfig(ComponentConfig):
    """How batches are mixed.

    Args:
        mixup, cutmix: alpha of each; 0: that one is not used.
        probability: that anything is mixed.
        switch: where both are used, the probability of CutMix.
        each: what draws a share of its own: the "batch", a "pair" of images, or every "image".
    """

    mixup: float = Field(default=0.8, ge=0, allow_inf_nan=False)
    cutmix: float = Field(default=1.0, ge=0, allow_inf_nan=False)
    probability: float = Field(default=1.0, gt=0, le=1)
    switch: float = Field(default=0.5, ge=0, le=1)
    each: Literal["batch", "pair", "image"] = "batch"

    @model_validator(mode="after")
    def _something(self) -> MixupConfig:
        if self.mixup == self.cutmix == 0:
            raise ValueError("`mixup` and `cutmix` are both 0, so nothing would be mixed; leave the transform out")
        return self


class Mixup:
    """Mixes the images of a batch, and their targets."""

    def __init__(self, config: MixupConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_transforms(self, data_info: DataInfo, batch: int, rng: Rng) -> list[BatchTransform]:
        """One transform, which draws at its step.

        Raises:
            ContractError: the data are no classified images, or the batch has an odd number of them.
        """
        from timm.data.mixup import Mixup as Mix

        from prunebench.kernels.networks import seeded

        config = self._config
        if len(data_info.shape) != 3 or not data_info.classes:
            raise ContractError("transforms mixup: it mixes images of classes, and these data are none; leave it out")
        if batch % 2:
            raise ContractError(f"transforms mixup: images are mixed in pairs, and a batch has {batch}; make it even")
        mix = Mix(  # type: ignore[no-untyped-call]
            mixup_alpha=config.mixup,
            cutmix_alpha=config.cutmix,
            prob=config.probability,
            switch_prob=config.switch,
            mode="elem" if config.each == "image" else config.each,
            label_smoothing=0.0,
            num_classes=data_info.classes,
        )

        def mixed(step: int, inputs: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
            with seeded(rng.seed(step)):  # timm draws from NumPy's generator
                inputs, shares = mix(inputs, targets)
            return inputs, shares

        return [mixed]


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `mixup`."""
    yield Component("mixup", MixupConfig, Mixup, version=1, paper="Zhang et al. 2018")
