"""A small causal transformer: an embedding, blocks of attention and a perceptron, and logits of the next token.

Source: Vaswani et al. 2017, section 3 (the decoder, normalised before each part); an example of this package.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from pydantic import Field

from prunebench import Component, ComponentConfig, PlanError, hookimpl

if TYPE_CHECKING:
    from torch import nn

    from prunebench.api.info import DataInfo


class CausalNetConfig(ComponentConfig):
    """`width`: numbers of a token inside the network; `blocks`: how many follow one another."""

    width: int = Field(default=32, ge=1)
    blocks: int = Field(default=2, ge=1)


class CausalNet:
    """Maps tokens (B, length) to logits (B, length, vocabulary); a place sees itself and those before it."""

    def __init__(self, config: CausalNetConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_model(self, data_info: DataInfo) -> nn.Module:
        """The network for a vocabulary and rows of a length.

        Raises:
            PlanError: the data are no rows of tokens.
        """
        from prunebench_example._transformer import Transformer

        if len(data_info.shape) != 1 or not data_info.classes:
            raise PlanError(
                f"causal-net: {data_info.name} has no rows of tokens, but inputs of shape {data_info.shape}"
            )
        return Transformer(data_info.classes, data_info.shape[0], self._config.width, self._config.blocks)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `causal-net`."""
    yield Component("causal-net", CausalNetConfig, CausalNet, version=1, paper="Vaswani et al. 2017")
