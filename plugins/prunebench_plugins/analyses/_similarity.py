"""How alike two networks behave: matched hidden units, what layers give for the same images, and predictions."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from prunebench import ContractError, Figure, Measurement
from prunebench.kernels.activation_metric import activation_metrics
from prunebench.kernels.calibration import as_matrices
from prunebench_plugins.analyses import _figures, _weights
from prunebench_plugins.analyses._paths import evenly_spaced, in_batches

if TYPE_CHECKING:
    from prunebench.api.data import Data
    from prunebench.api.masks import Units
    from prunebench.api.task import Task
    from prunebench.api.tickets import Optimum


@dataclass(frozen=True)
class Behaviour:
    """What a network does with some images.

    Args:
        units: for each hidden layer, what its units give, before their nonlinearity: (units, images * places), float32.
        weights: of each layer, as matrices (groups, outputs, columns), with which of them are kept and the covariance
            of what the columns read; none if not asked for.
        predicted: the class for each image, and `wrong`, whether it is another than the label; None if not asked for.
    """

    units: Mapping[str, Tensor]
    weights: Mapping[str, tuple[Tensor, Tensor, Tensor]]
    predicted: Tensor | None = None
    wrong: Tensor | None = None


class Seen:
    """A network, and the images that are shown to it.

    Args:
        images: how many evenly spaced ones of `split`.
    """

    def __init__(self, model: nn.Module, data: Data, task: Task, units: Units, split: str, images: int) -> None:
        self._model, self._task, self._units = model, task, units
        self._split, self._indices = data[split], evenly_spaced(data[split].size, images)

    @torch.no_grad()
    def behaviour(self, optimum: Optimum, also: Collection[str]) -> Behaviour:
        """What the network does with an optimum's weights, in evaluation mode.

        Raises:
            ContractError: predictions are asked for, and it does not give one score for each class.
        """
        self._model.load_state_dict(dict(optimum.weights))
        self._model.eval()
        layers = {name: module for name, module in self._layers() if "units" in also}
        given: dict[str, list[Tensor]] = {name: [] for name in layers}
        last: dict[str, Tensor] = {}

        def note(name: str) -> Any:
            def hook(module: nn.Module, taken: Any, output: Tensor) -> None:
                given[name].append(_by_unit(output, module))
                last[name] = output

            return hook

        handles = [module.register_forward_hook(note(name)) for name, module in layers.items()]
        predicted, wrong, output_layers = [], [], set()
        try:
            for batch in self._split.batches(in_batches(self._indices)):
                inputs, targets = self._task.batch(*batch)
                outputs = self._model(inputs)
                output_layers |= {name for name, own in last.items() if own is outputs}
                if "predictions" in also:
                    correct = self._task.contribution(outputs, targets).correct
                    if correct is None or outputs.ndim != 2:
                        raise ContractError("distances: predictions are of networks that give a score for each class")
                    predicted.append(outputs.argmax(1).cpu())
                    wrong.append(~correct.cpu())
        finally:
            for handle in handles:
                handle.remove()
        hidden = {n: torch.cat(parts, 1).cpu() for n, parts in given.items() if parts and n not in output_layers}
        weights = self._weights(optimum) if "activations" in also else {}
        return Behaviour(hidden, weights, *(torch.cat(each) if each else None for each in (predicted, wrong)))

    def _weights(self, optimum: Optimum) -> dict[str, tuple[Tensor, Tensor, Tensor]]:
        kept = _weights.kept_weights(self._units, optimum.mask)
        inputs = [self._task.batch(*batch)[0] for batch in self._split.batches(in_batches(self._indices))]
        metrics = activation_metrics("distances", self._model, [optimum.weights], inputs, list(kept))
        return {
            name.removesuffix(".weight"): (
                as_matrices(optimum.weights[name].cpu().double(), len(metrics[name])),
                as_matrices(kept[name].cpu(), len(metrics[name])),
                metrics[name],
            )
            for name in kept
        }

    def _layers(self) -> Iterator[tuple[str, nn.Module]]:
        """The layers whose weights are units: convolutions and linear ones."""
        for parameter in _weights.kept_weights(self._units, None):
            name = parameter.removesuffix(".weight")
            module = self._model.get_submodule(name.rpartition(".parametrizations")[0] or name)
            if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d):
                yield name, module


def _by_unit(output: Tensor, module: nn.Module) -> Tensor:
    """An output of a layer as (units, everything else)."""
    channels = -1 if isinstance(module, nn.Linear) else -(len(getattr(module, "kernel_size", ())) + 1)
    return output.movedim(channels, 0).flatten(1)


def compared(one: Behaviour, other: Behaviour, which: str, round: int) -> list[Measurement]:
    """The similarities of two networks as measurements, each name followed by `which`."""
    found = []
    matches = {name: matched(given, other.units[name]) for name, given in one.units.items()}
    for name, match in {**{f"/{name}": match for name, match in matches.items()}, "": joined(matches)}.items():
        if one.units:
            found.append(Measurement(f"matched{name}/{which}", float(len(match.correlations)), "units", round))
        if match.correlations:
            mean = sum(match.correlations) / len(match.correlations)
            found.append(Measurement(f"correlation{name}/{which}", mean, round=round))
            found.append(Measurement(f"itself{name}/{which}", match.itself / len(match.correlations), round=round))
    for name, here in one.weights.items():
        distance = _distance_of_activations(here, other.weights[name])
        if distance is not None:
            found.append(Measurement(f"activations/{name}/{which}", distance, round=round))
    if one.predicted is not None and other.predicted is not None and one.wrong is not None and other.wrong is not None:
        agree = float((one.predicted == other.predicted).double().mean())
        found.append(Measurement(f"agreement/{which}", agree, round=round))
        either = int((one.wrong | other.wrong).sum())
        if either:
            found.append(
                Measurement(f"shared-errors/{which}", int((one.wrong & other.wrong).sum()) / either, round=round)
            )
    return found


def _distance_of_activations(one: tuple[Tensor, Tensor, Tensor], other: tuple[Tensor, Tensor, Tensor]) -> float | None:
    """1 - the cosine of two weights in the mean of their metrics, over what both keep; None without a direction."""
    both, metric = one[1] & other[1], (one[2] + other[2]) / 2
    u, v = one[0] * both, other[0] * both
    image = v @ metric
    lengths = float(((u @ metric) * u).sum()) * float((image * v).sum())
    return 1 - float((u * image).sum()) / math.sqrt(lengths) if lengths > 0 else None


@dataclass(frozen=True)
class Match:
    """Matched units: the correlation of each pair, and how many pairs are a unit and the one in its place."""

    correlations: Sequence[float]
    itself: int


def joined(matches: Mapping[str, Match]) -> Match:
    """Those of all layers."""
    return Match([c for match in matches.values() for c in match.correlations], sum(m.itself for m in matches.values()))


def matched(one: Tensor, other: Tensor) -> Match:
    """The pairs of units with the largest sum of correlations; a unit that always gives the same is in none.

    Args:
        one, other: (units, observations), as many of both.
    """
    from scipy.optimize import linear_sum_assignment

    (a, rows), (b, columns) = _standardised(one), _standardised(other)
    correlations = (a @ b.T).clamp(-1, 1)
    first, second = linear_sum_assignment(correlations.numpy(), maximize=True)
    itself = int((rows[torch.from_numpy(first)] == columns[torch.from_numpy(second)]).sum())
    return Match(correlations[first, second].tolist(), itself)


def _standardised(given: Tensor) -> tuple[Tensor, Tensor]:
    """Rows with mean 0 and length 1 in float64, and which units they are of: those that vary."""
    exact = given.double()
    centred = exact - exact.mean(1, keepdim=True)
    lengths = centred.norm(dim=1)
    # Rounding leaves a trace of what is constant.
    varies = lengths > 1e-6 * exact.norm(dim=1)
    return centred[varies] / lengths[varies, None], varies.nonzero().squeeze(1)


LABELS = {
    "correlation": "correlation of matched units",
    "itself": "units matched with themselves",
    "agreement": "equal predictions",
    "shared-errors": "shared errors",
}


def over_rounds(measurements: Sequence[Measurement]) -> list[Figure]:
    """The similarities to one round before; those to two rounds before it, dotted. None where there are none."""
    from matplotlib.ticker import MaxNLocator

    names = [name for name in LABELS if any(m.metric.startswith(f"{name}/r-") for m in measurements)]
    if not names:
        return []
    picture = _figures.canvas(7.0, 4.2)
    axes = picture.add_subplot()
    for name, colour in zip(names, _figures.in_order(len(names)), strict=True):
        for lag, style in ((1, "-"), (2, ":")):
            points = [(m.round or 0, m.value) for m in measurements if m.metric == f"{name}/r-{lag}"]
            label: dict[str, Any] = {"label": LABELS[name]} if lag == 1 else {}
            axes.plot([r for r, _ in points], [y for _, y in points], style, marker=".", color=colour, **label)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set_ylim(top=1.02)
    axes.set_xlabel("round r")
    axes.set_ylabel("similarity")
    axes.grid(alpha=0.3)
    _figures.legend_below(picture, axes)
    caption = "What the networks of successive rounds share: to one round before (lines) and two before (dotted)."
    return [Figure("distances-of-behaviour", _figures.to_svg(picture, "distances-of-behaviour"), caption)]
