"""N:M selection: of every M neighbouring weights the N with the highest scores stay, as in 2:4, 1:4 or 4:8.

The M neighbours read M neighbouring input channels at one place of the kernel. How many units live follows from the
pattern: a layer that M does not divide is an error that names it, or stays dense and is part of the density.

Source: Mishra et al. 2021 (Accelerating sparse deep neural networks); Zhou et al. 2021 (Learning N:M fine-grained
structured sparse neural networks from scratch).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import field_validator

from prunebench import Component, ComponentConfig, ContractError, hookimpl
from prunebench.api.info import Layer

if TYPE_CHECKING:
    from prunebench.api.masks import Mask, Scores, Units
    from prunebench.api.planning import Request


class NOfMConfig(ComponentConfig):
    """Which pattern.

    Args:
        pattern: "N:M", such as "2:4".
        rest: what becomes of layers whose number of inputs M does not divide, such as depthwise convolutions.
    """

    pattern: str = "2:4"
    rest: Literal["refuse", "dense"] = "refuse"

    @field_validator("pattern")
    @classmethod
    def _a_pattern(cls, pattern: str) -> str:
        from prunebench.kernels.patterns import parse_n_of_m

        parse_n_of_m(pattern)
        return pattern


class NOfM:
    """Keeps N of every M."""

    def __init__(self, config: NOfMConfig) -> None:
        from prunebench.kernels.patterns import parse_n_of_m

        self._config = config
        self._n, self._m = parse_n_of_m(config.pattern)

    @hookimpl
    def prunebench_needs(self, request: Request) -> None:
        """Nothing; an error where no single weights are pruned."""
        from prunebench_plugins.scores._weights import refuse_groups

        refuse_groups(request, "n-of-m")

    @hookimpl
    def prunebench_count(self, layers: Sequence[Layer], count: int) -> int:
        """What the pattern leaves; in a file the density is N / M, or what it is with the layers that stay dense.

        Raises:
            PlanError: another density, or a layer that M does not divide.
        """
        from prunebench.kernels.patterns import n_of_m_count

        return n_of_m_count("n-of-m", layers, self._n, self._m, self._config.rest, count)

    @hookimpl
    def prunebench_select(self, scores: Scores, units: Units, mask: Mask, count: int) -> Mask:
        """The N highest of every M that are alive; ties fall to the lower channel.

        Raises:
            ContractError: on this mask the pattern leaves another number of units than was asked for.
        """
        from prunebench.api.masks import Mask
        from prunebench.kernels.patterns import divided_by_m, inputs_first, inputs_first_back, keep_n_of_m

        whole = divided_by_m("n-of-m", units.layers, self._m, self._config.rest)
        keep = []
        for layer, values, alive, fits in zip(units.layers, scores.values, mask.keep, whole, strict=True):
            if fits:
                rows = inputs_first(values.cpu().reshape(layer.shape))
                kept = keep_n_of_m(rows, inputs_first(alive.reshape(layer.shape)), self._n, self._m)
                keep.append(inputs_first_back(kept, layer.shape).reshape(-1))
            else:
                keep.append(alive.clone())
        chosen = Mask(tuple(keep))
        if chosen.count != count:
            raise ContractError(
                f"n-of-m: {self._config.pattern} leaves {chosen.count:,} units of a mask of {mask.count:,}, and "
                f"{count:,} were asked for; cut once, from the dense network"
            )
        return chosen


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `n-of-m`."""
    yield Component("n-of-m", NOfMConfig, NOfM, version=1, paper="Mishra et al. 2021")
