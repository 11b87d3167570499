"""AdamW with the groups of modern recipes: no decay on norms and biases, lower rates for earlier layers.

Decay is decoupled from the gradient. With `layer_decay` a layer's rate is the base rate times layer_decay ^ (distance
from the head), where layers are timm's (`group_matcher`), as transformers and ConvNeXts are fine-tuned. `only` trains
norms, biases or the classifier alone and leaves every other parameter as it is: a retraining that is nearly free.

Source: Loshchilov & Hutter 2019 (AdamW), algorithm 2; Clark et al. 2020 and Bao et al. 2022 (layer-wise decay); Zimmer
et al. 2023 (PERP: retraining norms and biases after pruning).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import Field

from prunebench import Component, ComponentConfig, ContractError, hookimpl

if TYPE_CHECKING:
    import torch
    from torch import nn

Beta = Annotated[float, Field(ge=0, lt=1)]


class AdamWConfig(ComponentConfig):
    """torch.optim.AdamW's options, and what is in which group.

    Args:
        lr: the base learning rate, which the schedule of the rate multiplies.
        betas: of the running means of the gradient and of its square.
        eps: is added to the root of the mean square.
        weight_decay: times the weights, is taken off them, decoupled from the gradient.
        decay_norms_and_biases: whether weight decay is on parameters of one dimension too.
        layer_decay: what the rate is multiplied with from each layer to the one before it; 1 for none.
        only: which parameters are trained; all, if empty.
    """

    lr: float = Field(default=1e-3, gt=0, allow_inf_nan=False)
    betas: tuple[Beta, Beta] = (0.9, 0.999)
    eps: float = Field(default=1e-8, gt=0, allow_inf_nan=False)
    weight_decay: float = Field(default=0.05, ge=0, allow_inf_nan=False)
    decay_norms_and_biases: bool = False
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    only: tuple[Literal["norm", "bias", "classifier"], ...] = ()


class AdamW:
    """Builds torch.optim.AdamW."""

    def __init__(self, config: AdamWConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """AdamW over groups of equal rate and decay, fused where the device has the kernel.

        Raises:
            ContractError: `layer_decay` is asked for of a network whose layers have no order, or `only` names nothing.
        """
        import torch

        from prunebench_plugins.optimizers._kernel import kernel

        config, scales = self._config, self._scales(model)
        self._freeze(model)
        groups: dict[tuple[float, float], dict[str, Any]] = {}
        for name, parameter in model.named_parameters():
            decays = config.decay_norms_and_biases or parameter.ndim > 1
            key = scales.get(name, 1.0), config.weight_decay if decays else 0.0
            group = groups.setdefault(key, {"params": [], "lr": config.lr * key[0], "weight_decay": key[1]})
            group["params"].append(parameter)
        return torch.optim.AdamW(
            list(groups.values()),
            lr=config.lr,
            betas=config.betas,
            eps=config.eps,
            weight_decay=config.weight_decay,
            **kernel(model),
        )

    def _scales(self, model: nn.Module) -> dict[str, float]:
        """What each parameter's rate is multiplied with."""
        if self._config.layer_decay == 1:
            return {}
        if not hasattr(model, "group_matcher"):
            raise ContractError(
                f"optimizer adamw: layer_decay: a {type(model).__name__} does not say in which order its layers come "
                "(timm's `group_matcher`); use another network, or layer_decay = 1"
            )
        from timm.models import group_parameters

        layers = group_parameters(model, model.group_matcher(coarse=False), reverse=True)  # type: ignore[operator]
        last = max(layers.values())
        return {name: self._config.layer_decay ** (last - layer) for name, layer in layers.items()}

    def _freeze(self, model: nn.Module) -> None:
        """Leave only what is to be trained with a gradient: the others have none, so no step changes them."""
        if not self._config.only:
            return
        from prunebench.kernels.parameter_kinds import parameter_kinds
        from prunebench.kernels.weight_units import classifier_weights

        kinds, classifier = parameter_kinds(model), classifier_weights(model)
        trained = {name for name, kind in kinds.items() if kind.kind in self._config.only}
        if "classifier" in self._config.only:
            trained |= classifier
        if not trained:
            raise ContractError(
                f"optimizer adamw: only: the network has nothing that is {' or '.join(self._config.only)}"
            )
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in trained)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `adamw`."""
    yield Component("adamw", AdamWConfig, AdamW, version=1, paper="Loshchilov & Hutter 2019")
