"""Block selection: weights stay or go in blocks of a layer's matrix, such as 4 x 1 or 16 x 16.

A layer's matrix has a row for each output and a column for each input channel and place of the kernel. A block scores
what its weights score together, and blocks are compared across the network or within each layer. The number of units is
that of whole blocks: the nearest to the density that is asked for.

Source: Gray et al. 2017 (GPU kernels for block-sparse weights); Narang et al. 2017 (Block-sparse recurrent networks);
Elsen et al. 2020 (Fast sparse ConvNets, blocks of 4 x 1).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from prunebench import Component, ComponentConfig, ContractError, PlanError, hookimpl
from prunebench.api.info import Layer

if TYPE_CHECKING:
    from torch import Tensor

    from prunebench.api.masks import Mask, Scores, Units
    from prunebench.api.planning import Request

Side = Annotated[int, Field(ge=1)]


class BlocksConfig(ComponentConfig):
    """Which blocks.

    Args:
        shape: outputs x columns of a block.
        share: blocks compete in the whole network ("global"), or every layer keeps the same share ("uniform").
        rest: what becomes of layers that blocks do not tile.
    """

    shape: tuple[Side, Side] = (4, 1)
    share: Literal["global", "uniform"] = "global"
    rest: Literal["refuse", "dense"] = "refuse"


class Blocks:
    """Keeps the blocks whose scores sum highest."""

    def __init__(self, config: BlocksConfig) -> None:
        self._config = config
        self._size = config.shape[0] * config.shape[1]

    @hookimpl
    def prunebench_needs(self, request: Request) -> None:
        """Nothing; an error where no single weights are pruned."""
        from prunebench_plugins.scores._weights import refuse_groups

        refuse_groups(request, "blocks")

    @hookimpl
    def prunebench_count(self, layers: Sequence[Layer], count: int) -> int:
        """The number of units in whole blocks, and in layers that stay dense, that is nearest to `count`.

        Raises:
            PlanError: a layer that blocks do not tile, or a count at which no block is left.
        """
        from prunebench.kernels.patterns import divided_by_blocks

        whole = divided_by_blocks("blocks", layers, *self._config.shape, self._config.rest)
        dense = sum(layer.count for layer, fits in zip(layers, whole, strict=True) if not fits)
        blocks = round((count - dense) / self._size)
        if blocks < 1:
            units = sum(layer.count for layer in layers)
            raise PlanError(
                f"blocks: {count:,} of {units:,} units leave no block of {self._size}, since the layers that stay "
                f"dense have {dense:,}; ask for a higher density"
            )
        return dense + blocks * self._size

    @hookimpl
    def prunebench_select(self, scores: Scores, units: Units, mask: Mask, count: int) -> Mask:
        """The highest blocks of those alive; ties fall to the lower block, in the order of rows.

        Raises:
            ContractError: whole blocks cannot make up `count` on this mask.
        """
        from prunebench.api.masks import Mask, Scores
        from prunebench.kernels.patterns import divided_by_blocks
        from prunebench.kernels.selection import keep_highest
        from prunebench.kernels.shares import best_of_each, shared

        whole = divided_by_blocks("blocks", units.layers, *self._config.shape, self._config.rest)
        fitting = [index for index, fits in enumerate(whole) if fits]
        tiles = [self._tiles(scores.values[index].cpu(), units.layers[index]) for index in fitting]
        living = [self._tiles(mask.keep[index], units.layers[index]) for index in fitting]
        alive = Mask(tuple(of.all(1) for of in living))
        blocks, left = divmod(
            count - sum(n for n, fits in zip(mask.counts, whole, strict=True) if not fits), self._size
        )
        torn = any(bool((of.any(1) & ~of.all(1)).any()) for of in living)
        if torn or left or not 0 < blocks <= alive.count:
            raise ContractError(
                f"blocks: whole blocks of {self._config.shape[0]} x {self._config.shape[1]} cannot make up {count:,} "
                f"units of a mask of {mask.count:,}; use blocks in every round, and no other selection before"
            )
        # Infinities of both signs have no sum; such a block goes first.
        sums = Scores(tuple(of.sum(1).nan_to_num(nan=-inf, posinf=inf, neginf=-inf) for of in tiles))
        if self._config.share == "global":
            kept = keep_highest(sums.values, alive.keep, blocks)
        else:
            kept = best_of_each(sums, alive, shared(blocks, [len(of) for of in sums.values], alive.counts)).keep
        keep = [alive.clone() for alive in mask.keep]
        for index, of_layer in zip(fitting, kept, strict=True):
            keep[index] = self._weights(of_layer, units.layers[index])
        return Mask(tuple(keep))

    def _tiles(self, values: Tensor, layer: Layer) -> Tensor:
        """A layer's values by block: (blocks, weights of a block)."""
        rows, columns = self._config.shape
        tiles = values.reshape(layer.shape[0] // rows, rows, -1, columns)
        return tiles.movedim(2, 1).reshape(-1, self._size)

    def _weights(self, kept: Tensor, layer: Layer) -> Tensor:
        """Back from one bool for each block to one for each weight."""
        rows, columns = self._config.shape
        tiles = kept.reshape(layer.shape[0] // rows, -1)
        return tiles.repeat_interleave(rows, 0).repeat_interleave(columns, 1).reshape(-1)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `blocks`."""
    yield Component("blocks", BlocksConfig, Blocks, version=1, paper="Gray et al. 2017; Elsen et al. 2020")
