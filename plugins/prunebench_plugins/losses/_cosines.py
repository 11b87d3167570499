"""The closed form of the gradient of squared cosines, added to the gradients of weights in place.

    J = strength / K * sum over K directions of cos^2(w, direction)

With U the directions as rows of length 1, W = ||w|| and t = U w / W^2 the gradient is

    2 strength / K * (U^T t - ||t||^2 w)

which is orthogonal to w. Lengths may also be those of a metric S, a positive semi-definite matrix: then the rows are
U S, W^2 = w^T S w, and S w takes the place of the last w.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn


def whole_gradient(weights: Sequence[nn.Parameter], tables: Sequence[Tensor], strength: float) -> Callable[[], None]:
    """The function that adds the term's gradient to that of the weights, from optima that are 0 off the mask.

    The weights must be 0 there too: then no sum needs the mask.

    Args:
        tables: for each weight, its part of the optima, which have length 1 in all: (K, elements). Scaled in place.
    """
    import torch

    count = len(tables[0])
    for table in tables:
        table.mul_(_length(strength, count))
    sign = 1 if strength > 0 else -1
    # A line for each weight, and one with what keeps weights that are all 0 from being divided by.
    lines = tables[0].new_zeros(len(weights) + 1, count + 1)
    lines[-1, count] = torch.finfo(lines.dtype).tiny
    products = lines.new_empty(count + 1)
    cosines, factor, finish = products[:count], products[count:], _finisher(products, sign)
    read = [
        (*_line(weight), table, line[:count], line[count])
        for weight, table, line in zip(weights, tables, lines[:-1], strict=True)
    ]
    columns = [table.t() for table in tables]

    @torch.no_grad()
    def add() -> None:
        flat = []
        for value, view, table, product, square in read:
            present = value.reshape(-1) if view is None else view
            torch.mv(table, present, out=product)
            torch.dot(present, present, out=square)
            flat.append(present)
        torch.sum(lines, 0, out=products)
        finish()
        for weight, present, column in zip(weights, flat, columns, strict=True):
            slope = _slope(weight)
            line = slope.reshape(-1)
            line.addmv_(column, cosines, alpha=sign).addcmul_(present, factor)
            if not slope.is_contiguous():
                slope.copy_(line.view(slope.shape))

    return add


def kept_gradient(
    weights: Sequence[nn.Parameter], places: Sequence[Tensor], rows: Tensor, strength: float
) -> Callable[[], None]:
    """The function that adds the term's gradient to that of the weights, from what the mask keeps of the optima.

    Args:
        places: which of the flat elements of each weight the mask keeps.
        rows: (K, kept), each of length 1. Scaled in place.
    """
    import torch

    count = len(rows)
    columns = rows.mul_(_length(strength, count)).t()
    sign = 1 if strength > 0 else -1
    # What is kept of the weights in every step, and then the gradient.
    kept = rows.new_empty(rows.shape[1])
    products = rows.new_empty(count + 1)
    cosines, factor, finish = products[:count], products[count:], _finisher(products, sign)
    # Keeps weights that are all 0 from being divided by.
    floor = rows.new_full((1,), torch.finfo(rows.dtype).tiny)
    line_of_kept = kept[None]
    parts = torch.split(kept, [len(place) for place in places])
    read = [(*_line(weight), place, part) for weight, place, part in zip(weights, places, parts, strict=True)]
    written = list(zip(weights, places, parts, strict=True))

    @torch.no_grad()
    def add() -> None:
        for value, view, place, part in read:
            torch.index_select(value.reshape(-1) if view is None else view, 0, place, out=part)
        torch.mv(rows, kept, out=cosines)
        torch.addmv(floor, line_of_kept, kept, out=factor)
        finish()
        kept.mul_(factor).addmv_(columns, cosines, alpha=sign)
        for weight, place, part in written:
            slope = _slope(weight)
            line = slope.reshape(-1)
            line.scatter_add_(0, place, part)
            if not slope.is_contiguous():
                slope.copy_(line.view(slope.shape))

    return add


def metric_gradient(
    weight: nn.Parameter, keep: Tensor, optima: Tensor, metric: Tensor, strength: float
) -> Callable[[], None] | None:
    """The function that adds the term's gradient to that of one weight, with cosines in a metric of its columns.

    Of the weight, as matrices, only the rows and columns count in which something is kept and the metric is not 0: one
    product of these with the metric, rows * columns^2, is most of what a step costs.

    Args:
        keep: which elements of the weight are kept, bool in its shape.
        optima: values of the kept elements, (K, kept), in any length.
        metric: of the columns of the weight's matrices, (groups, columns, columns), float64.
    Returns: None where no kept element counts.
    """
    import torch

    from prunebench.kernels.calibration import as_matrices

    groups, device, dtype = len(metric), weight.device, weight.dtype
    kept = as_matrices(keep, groups)
    counting = kept & (metric.diagonal(dim1=-2, dim2=-1) > 0)[:, None, :]
    rows, columns = counting.any(2).any(0).nonzero().squeeze(1), counting.any(1).any(0).nonzero().squeeze(1)
    if not len(rows):
        return None
    square = metric[:, columns][:, :, columns]
    square = square / square.diagonal(dim1=-2, dim2=-1).mean()
    place = counting.reshape(-1).nonzero().squeeze(1)
    inside = counting[:, rows][:, :, columns].reshape(-1).nonzero().squeeze(1)
    block = torch.zeros(groups, len(rows), len(columns), dtype=torch.float64)
    table = torch.empty(len(optima), len(place), dtype=dtype)
    of_kept = counting.reshape(-1)[kept.reshape(-1)]
    for row, optimum in enumerate(optima):
        values = optimum[of_kept].double()
        block.view(-1)[inside] = values
        image = (block @ square).view(-1)[inside]
        length = torch.dot(values, image).clamp(min=0).sqrt()
        table[row] = torch.zeros_like(image) if length == 0 else image / length

    count, sign = len(optima), 1 if strength > 0 else -1
    table = table.mul_(_length(strength, count)).to(device)
    turned, place, inside = table.t(), place.to(device), inside.to(device)
    square = square.to(device, dtype)
    block, product = (torch.zeros(groups, len(rows), len(columns), dtype=dtype, device=device) for _ in range(2))
    values, image = torch.empty(2, len(place), dtype=dtype, device=device).unbind()
    products = table.new_empty(count + 1)
    cosines, factor, finish = products[:count], products[count:], _finisher(products, sign)
    floor = table.new_full((1,), torch.finfo(dtype).tiny)
    line_of_values, within, of_product = values[None], block.view(-1), product.view(-1)
    value, view = _line(weight)

    @torch.no_grad()
    def add() -> None:
        torch.index_select(value.reshape(-1) if view is None else view, 0, place, out=values)
        within.index_copy_(0, inside, values)
        torch.bmm(block, square, out=product)
        torch.index_select(of_product, 0, inside, out=image)
        torch.mv(table, values, out=cosines)
        torch.addmv(floor, line_of_values, image, out=factor)
        finish()
        image.mul_(factor).addmv_(turned, cosines, alpha=sign)
        slope = _slope(weight)
        line = slope.reshape(-1)
        line.scatter_add_(0, place, image)
        if not slope.is_contiguous():
            slope.copy_(line.view(slope.shape))

    return add


def _length(strength: float, count: int) -> float:
    """Of the rows of U in U^T t - ||t||^2 w, so that this is the gradient of the term but for its sign."""
    return math.sqrt(2 * abs(strength) / count)


def _finisher(products: Tensor, sign: int) -> Callable[[], None]:
    """The function that turns (U w, W^2) into (t, -sign ||t||^2), in place."""
    import torch

    cosines, last = products[:-1], products[-1:]
    row = cosines[None]

    def finish() -> None:
        cosines.div_(last)
        torch.addmv(last, row, cosines, beta=0, alpha=-sign, out=last)

    return finish


def _line(weight: nn.Parameter) -> tuple[Tensor, Tensor | None]:
    """The values of a weight and, where they lie in one line, that line: views, which follow the weight."""
    value = weight.detach()
    return value, value.view(-1) if value.is_contiguous() else None


def _slope(weight: nn.Parameter) -> Tensor:
    """The gradient of a weight, of zeros where it has none."""
    import torch

    if weight.grad is None:
        weight.grad = torch.zeros_like(weight)
    return weight.grad
