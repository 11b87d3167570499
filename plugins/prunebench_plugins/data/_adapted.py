"""What a data set takes over from a network that was trained on images prepared in a stated way."""

from __future__ import annotations

from typing import Any, TypeVar

from prunebench import ComponentConfig, PlanError
from prunebench.api.pretrained import Preprocessing

Config = TypeVar("Config", bound=ComponentConfig)


def adapted(config: Config, preprocessing: Preprocessing, *names: str) -> Config:
    """The configuration with what a network asks for of the options of these names.

    Raises:
        PlanError: the file states another value of one of them.
    """
    asked = {name: getattr(preprocessing, name) for name in names}
    for name, value in asked.items():
        own = getattr(config, name)
        default = type(config).model_fields[name].get_default(call_default_factory=True)
        if own not in (default, value):
            raise PlanError(f"`{name}` is stated as {_shown(own)}, and the network was trained with {_shown(value)}")
    return config.model_copy(update=asked)


def _shown(value: Any) -> str:
    return str(list(value)) if isinstance(value, tuple) else str(value)
