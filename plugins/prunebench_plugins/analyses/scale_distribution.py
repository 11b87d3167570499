"""Scale distribution: how large the scales of norm layers are where the dense network's find run ends.

A penalty on scales (`gamma-l1`) is to push most of them near zero, so that a threshold can tell channels that matter
from those that do not. What is measured is the network before its first pruning, and the same run at earlier positions.

Source: Liu et al. 2017 (Learning efficient convolutional networks through network slimming), section 5, figures 4, 6.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from prunebench import Component, ComponentConfig, Figure, Measurement, PlanError, Position, hookimpl
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs
from prunebench_plugins.analyses import _figures, _weights

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from prunebench.api.planning import Needs, Request
    from prunebench.api.tickets import State

BINS = 60


class ScaleDistributionConfig(ComponentConfig):
    """Which states, and whose scales.

    Args:
        at: positions of the run that are measured beside its end; "0it" is the initialisation.
        near: a scale is near zero if its magnitude is smaller than this.
        over: the scales of "batch-norm" layers, or of "all" norm layers.
    """

    at: tuple[Position, ...] = ()
    near: Annotated[float, Field(gt=0)] = 0.01
    over: Literal["batch-norm", "all"] = "batch-norm"


class ScaleDistribution:
    """Reads the scales of a dense network."""

    def __init__(self, config: ScaleDistributionConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The end of the dense network's find run, after its states at the stated positions.

        Raises:
            PlanError: a position past the end of the run.
        """
        from prunebench.api.planning import Needs, TrainedPoint

        run = _weights.dense_run(request.chain)
        places = {place.iterations(run.clock): place for place in self._config.at}
        late = [str(place) for iteration, place in places.items() if iteration > run.stop]
        if late:
            raise PlanError(f'scale-distribution: at: "{late[0]}" is past the end of the run, iteration {run.stop:,}')
        states = [
            TrainedPoint(run.at(places[iteration]), None, 0, f"{iteration}it")
            for iteration in sorted(places.keys() - {run.stop})
        ]
        return Needs({"states": [*states, TrainedPoint(run.end, None, 0, f"{run.stop}it")]})

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, model: nn.Module) -> Analysis:
        """`mean`, `median` and `largest` magnitude of all scales at each position, and with `/LAYER` those of a layer.

        `near_zero` is the share of scales that are smaller than `near`.

        Raises:
            PlanError: the network has no such scale.
        """
        names = scales_of(model, self._config.over)
        if not names:
            raise PlanError(f"scale-distribution: the network has no {self._config.over} layer with a learned scale")
        states = {state.label: magnitudes(state.weights, names) for state in inputs["states"]}
        measurements = [m for label, layers in states.items() for m in measured(layers, self._config.near, label)]
        return Analysis(tuple(measurements), (figure(states),))


def scales_of(model: nn.Module, over: Literal["batch-norm", "all"]) -> list[str]:
    """The names of the learned scales of norm layers, a shared one once."""
    from torch import nn
    from torch.nn.modules.batchnorm import _BatchNorm, _NormBase

    kinds = (_BatchNorm,) if over == "batch-norm" else (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.RMSNorm)
    found: dict[int, str] = {}
    for name, module in model.named_modules():
        if isinstance(module, kinds) and module.weight is not None:
            found.setdefault(id(module.weight), f"{name}.weight".removeprefix("."))
    return list(found.values())


def magnitudes(state: State, names: Iterable[str]) -> dict[str, NDArray[np.float64]]:
    """|scale| of each layer."""
    return {name: state[name].detach().double().abs().cpu().numpy() for name in names}


def measured(layers: Mapping[str, NDArray[np.float64]], near: float, label: str) -> Iterator[Measurement]:
    """The numbers of all scales of a state, then of each layer."""
    import numpy as np

    whole = {"": np.concatenate(list(layers.values())), **{f"/{name}": scales for name, scales in layers.items()}}
    for suffix, scales in whole.items():
        yield Measurement(f"mean{suffix}", float(scales.mean()), round=0, position=label)
        yield Measurement(f"median{suffix}", float(np.median(scales)), round=0, position=label)
        yield Measurement(f"largest{suffix}", float(scales.max()), round=0, position=label)
        yield Measurement(f"near_zero{suffix}", float((scales < near).mean()), "fraction", 0, label)


def figure(states: Mapping[str, Mapping[str, NDArray[np.float64]]]) -> Figure:
    """How many scales of the whole network are how large: on the left at the end of the run, on the right by layer."""
    import numpy as np

    picture = _figures.canvas(9.6, 3.8)
    left, right = picture.subplots(1, 2)
    whole = {label: np.concatenate(list(layers.values())) for label, layers in states.items()}
    top = max(float(scales.max()) for scales in whole.values())
    edges = np.linspace(0.0, top if top > 0 else 1.0, BINS + 1)
    for (label, scales), colour in zip(whole.items(), _figures.in_order(len(whole)), strict=True):
        counts, _ = np.histogram(scales, edges)
        left.stairs(counts, edges, color=colour, label=f"iteration {label.removesuffix('it')}", linewidth=1.4)
    # Nearly all may lie in the first bin, and what is left are the channels that matter.
    left.set_yscale("symlog", linthresh=1.0)
    left.set_xlabel("magnitude of the scale")
    left.set_ylabel("scales")
    *_, last = states.values()
    ordered = [np.sort(scales)[::-1] for scales in last.values()]
    for scales, name, colour in zip(ordered, last, _figures.in_order(len(last)), strict=True):
        share = (np.arange(scales.size) + 0.5) / scales.size
        right.plot(share, scales, color=colour, label=name.removesuffix(".weight"), linewidth=1.2)
    right.set_xlabel("share of the layer's channels")
    right.set_ylabel("magnitude, largest first")
    for axes in (left, right):
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
    left.legend(fontsize="small")
    _figures.name_layers(picture, right, [name.removesuffix(".weight") for name in last])
    caption = "Scales of norm layers in the dense network's find run: all of them, and those of each layer at the end."
    return Figure("scale-distribution", _figures.to_svg(picture, "scale-distribution"), caption)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `scale-distribution`."""
    paper = "Liu et al. 2017, section 5"
    yield Component("scale-distribution", ScaleDistributionConfig, ScaleDistribution, version=1, paper=paper)
