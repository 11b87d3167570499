"""Networks by name from timm's registry; the papers' own networks are registered there too.

A name with a tag, such as resnet50.a1_in1k, stands for the network with the weights that were published so.

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
from prunebench.api.pretrained import Pretrained

if TYPE_CHECKING:
    from torch import nn

NOT_ARGUMENTS = {
    "num_classes": "it follows from the data",
    "in_chans": "it follows from the data",
    "pretrained": "it stands beside the name",
    "pretrained_cfg": "a tag behind the name says which weights",
    "pretrained_cfg_overlay": "a tag behind the name says which weights",
    "checkpoint_path": "a weight file is named by `weights`",
}


class TimmConfig(ComponentConfig):
    """Which network.

    Args:
        name: as in timm.list_models(), or with the tag of its weights.
        args: arguments of the network's constructor.
    """

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

        base = self._name.partition(".")[0]
        # A prefix before a colon names a place to load from.
        if not timm.is_model(base) or ":" in self._name:
            raise PlanError(f'timm: no network "{base}".{nearest(base, timm.list_models())}')
        if len(data_info.shape) != 3:
            raise PlanError(f"timm: its networks take images; {data_info.name} has inputs of shape {data_info.shape}")
        channels, *size = data_info.shape
        arguments: dict[str, Any] = {**self._args}
        if "img_size" in inspect.signature(timm.model_entrypoint(base)).parameters:
            arguments.setdefault("img_size", size)
        try:
            model = timm.create_model(self._name, num_classes=data_info.classes, in_chans=channels, **arguments)
        except TypeError as error:
            raise PlanError(f'timm: network "{self._name}" does not take {self._args}: {error}') from error
        return model

    @hookimpl
    def prunebench_pretrained(self, asked: bool, revision: str | None) -> Pretrained | None:
        """What timm publishes with the network, if a tag or the file asks for it; fetched by timm's own download."""
        if not asked and "." not in self._name:
            return None
        from prunebench_plugins.models._published import published

        return published(self._name, revision)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `timm`."""
    yield Component("timm", TimmConfig, Timm, version=1, paper="Wightman 2019")
