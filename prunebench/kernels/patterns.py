"""Patterns that hardware can use: N weights of every M, and whole blocks; which layers have them, how many units stay.

A convolution's weight (out, in / groups, height, width) is a matrix of out rows; the M weights of an N:M group are of M
neighbouring input channels at one place of the kernel, as in the sparse tensor cores' layout of convolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from prunebench.api.errors import PlanError
from prunebench.api.info import Layer

if TYPE_CHECKING:
    from torch import Tensor

Rest = Literal["refuse", "dense"]
"""What becomes of a layer that a pattern does not divide: an error that names it, or it keeps all its weights."""


def parse_n_of_m(text: str) -> tuple[int, int]:
    """N and M of "2:4".

    Raises:
        ValueError: it is no such pattern, or has not 0 < N < M.
    """
    n, colon, m = text.partition(":")
    if not colon or not (n.isdecimal() and m.isdecimal()) or not 0 < int(n) < int(m):
        raise ValueError(f'"{text}" is no pattern such as "2:4": N of every M weights stay, 0 < N < M')
    return int(n), int(m)


def inputs_first(values: Tensor) -> Tensor:
    """A weight (out, in, *kernel), or scores of its shape, as rows (out, kernel * in): neighbours are channels."""
    return values.movedim(1, -1).reshape(values.shape[0], -1)


def inputs_first_back(rows: Tensor, shape: Sequence[int]) -> Tensor:
    """Undoes `inputs_first`."""
    return rows.reshape(shape[0], *shape[2:], shape[1]).movedim(-1, 1)


def divided_by_m(who: str, layers: Sequence[Layer], m: int, rest: Rest) -> list[bool]:
    """Which layers M divides: the inputs of each (of one group of a convolution).

    Raises:
        PlanError: a layer that it does not divide, with what to do, where `rest` is "refuse"; none that it divides; or
            units that are no single weights.
    """
    whole = [len(layer.shape) > 1 and layer.shape[1] % m == 0 for layer in layers]
    return _checked(who, layers, whole, rest, lambda layer: f"has {layer.shape[1]} inputs, which {m} does not divide")


def divided_by_blocks(who: str, layers: Sequence[Layer], rows: int, columns: int, rest: Rest) -> list[bool]:
    """Which layers blocks of `rows` x `columns` tile: the outputs of each by its inputs times its kernel's places.

    Raises:
        PlanError: as divided_by_m.
    """
    whole = []
    for layer in layers:
        outputs = layer.shape[0] if len(layer.shape) > 1 else 0
        whole.append(outputs > 0 and outputs % rows == 0 and layer.count // outputs % columns == 0)
    return _checked(
        who,
        layers,
        whole,
        rest,
        lambda layer: (
            f"is a matrix of {layer.shape[0]} x {layer.count // layer.shape[0]}, which blocks of {rows} x "
            f"{columns} do not tile"
        ),
    )


def _checked(who: str, layers: Sequence[Layer], whole: list[bool], rest: Rest, why: object) -> list[bool]:
    if any(not layer.shape for layer in layers):
        raise PlanError(f'{who}: it works on single weights, and not on channels; write units = "weights"')
    refused = [layer for layer, fits in zip(layers, whole, strict=True) if not fits]
    if refused and (rest == "refuse" or len(refused) == len(layers)):
        first = refused[0]
        assert callable(why)
        reason = why(first) if len(first.shape) > 1 else "is no matrix"
        others = f" (and {len(refused) - 1} more layers do not fit)" if len(refused) > 1 else ""
        do = 'keep such layers dense: rest = "dense"; or leave them out: units = { use = "weights", exclude = [...] }'
        if len(refused) == len(layers):
            do = "no layer fits; use another pattern"
        raise PlanError(f'{who}: layer "{first.name}" {reason}{others}; {do}')
    return whole


def n_of_m_count(who: str, layers: Sequence[Layer], n: int, m: int, rest: Rest, stated: int) -> int:
    """How many units an N:M pattern leaves: N of M in the layers that M divides, and all of the others.

    Raises:
        PlanError: `stated`, what a density or a cut asks for, is neither that nor N / M of all units; or as
            `divided_by_m`.
    """
    whole = divided_by_m(who, layers, m, rest)
    units = sum(layer.count for layer in layers)
    count = sum(layer.count * n // m if fits else layer.count for layer, fits in zip(layers, whole, strict=True))
    # A density is printed with a few digits: half a percent of the units tells two apart.
    if min(abs(stated - count), abs(stated - units * n / m)) > units / 200:
        raise PlanError(
            f"{who}: {n}:{m} leaves {count / units:.3f} of the units, and {stated / units:.3f} were asked for; write "
            f"densities = [{n / m:g}] for this entry, with a schedule that cuts once"
        )
    return count


def keep_n_of_m(scores: Tensor, alive: Tensor, n: int, m: int) -> Tensor:
    """In each row, of every M neighbours the N highest that are alive; fewer where fewer are. Ties to the lower column.

    Args:
        scores, alive: (rows, columns), float and bool, `columns` a multiple of M.
    """
    import torch

    groups, living = scores.reshape(-1, m), alive.reshape(-1, m)
    order = groups.argsort(dim=1, descending=True, stable=True)
    # A dead unit may score as much as a living one: those alive come first, in the order that they have.
    order = order.gather(1, (~living).gather(1, order).to(torch.uint8).argsort(dim=1, stable=True))
    chosen = torch.zeros_like(living)
    chosen.scatter_(1, order[:, :n], True)
    return (chosen & living).reshape(alive.shape)
