"""Networks by name from timm's registry, with fresh weights; the papers' own networks are registered there too.

These are lenet_300_100; conv2, conv4, conv6; vanilla_cnn; cifar_vgg16, cifar_vgg19; cifar_resnet8, cifar_resnet20,
cifar_resnet32, cifar_resnet44, cifar_resnet56, cifar_resnet110; cifar_preresnet20, cifar_preresnet56,
cifar_preresnet110, cifar_preresnet164; cifar_densenet40.

Source: Wightman 2019, PyTorch Image Models.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field, JsonValue, field_validator

from prunebench import Component, ComponentConfig, PlanError, hookimpl
from prunebench.api.errors import nearest
from prunebench.api.info import DataInfo

if TYPE_CHECKING:
    from torch import nn

NOT_ARGUMENTS = {
    "num_classes": "it follows from the data",
    "in_chans": "it follows from the data",
    "pretrained": "weights are drawn by the initialiser",
    "pretrained_cfg": "weights are drawn by the initialiser",
    "pretrained_cfg_overlay": "weights are drawn by the initialiser",
    "checkpoint_path": "weights are drawn by the initialiser",
}


class TimmConfig(ComponentConfig):
    """`name`: as in timm.list_models(); `args`: arguments of that network's constructor."""

    name: str = Field(examples=["lenet_300_100"])
    args: dict[str, JsonValue] = Field(default_factory=dict)

    @field_validator("args")
    @classmethod
    def _are_the_networks_own(cls, args: dict[str, JsonValue]) -> dict[str, JsonValue]:
        for name in args:
            if name in NOT_ARGUMENTS:
                raise ValueError(f'"{name}" cannot be an argument: {NOT_ARGUMENTS[name]}')
        return args


class Timm:
    """Builds networks with timm.create_model."""

    def __init__(self, config: TimmConfig) -> None:
        self._name = config.name
        self._args = config.args

    @hookimpl
    def prunebench_model(self, data_info: DataInfo) -> nn.Module:
        """The network for this data; one whose entry point names `img_size` is told the images' size.

        timm's own networks take an image size, where they do, only from `args`.

        Raises:
            PlanError: the data are no images, no network has this name (the nearest are listed), or it does not take
                these arguments.
        """
        import timm

        import prunebench_plugins.models.architectures  # noqa: F401 (importing it registers the networks)

        names = timm.list_models()
        # A tag after a dot names pretrained weights, a prefix before a colon a place to load from: neither is a name.
        if not timm.is_model(self._name) or "." in self._name:
            raise PlanError(f'timm: no network "{self._name}".{nearest(self._name.partition(".")[0], names)}')
        if len(data_info.shape) != 3:
            raise PlanError(f"timm: its networks take images; {data_info.name} has inputs of shape {data_info.shape}")
        channels, *size = data_info.shape
        arguments: dict[str, Any] = {**self._args}
        if "img_size" in inspect.signature(timm.model_entrypoint(self._name)).parameters:
            arguments.setdefault("img_size", size)
        try:
            model = timm.create_model(self._name, num_classes=data_info.classes, in_chans=channels, **arguments)
        except TypeError as error:
            raise PlanError(f'timm: network "{self._name}" does not take {self._args}: {error}') from error
        return model


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `timm`."""
    yield Component("timm", TimmConfig, Timm, version=1, paper="Wightman 2019")
