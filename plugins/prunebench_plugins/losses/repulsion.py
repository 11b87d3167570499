"""Repulsion: keeps a network away from the optima of earlier rounds, or draws it to them.

    J = strength / K * sum over the K earlier optima of cos^2(w, optimum),  both restricted to the present mask

If tickets win because they retrain to the optimum that they were pruned from, they stop winning where that is closed to
them. The paper takes one cosine of all weights (`by = "network"`). It may be small because layers cancel, one with a
cosine above 0 and one below, or because many weights moved that nothing depends on. So there are two more:
`by = "layer"` takes the mean of each layer's squared cosine, and `by = "activations"` that mean with cosines in the
metric of the data: <w, v> is the covariance of what two layers give for the same inputs, w S v^T summed over a layer's
outputs, where S is the covariance of what the layer reads in the optima's own networks, over training images and the K
optima. The covariance is centred: what is constant belongs to the biases, which are not compared.

Masks are nested, so all that is ever needed of an optimum is what the present mask keeps of it. That is held in the
form that takes less memory, which is the faster one too: at high densities whole optima that are 0 off the mask, K * d
numbers, with which weights and gradients are used where they lie; else K * density * d numbers, as much again as 2
optima for the places of what is kept, and 1 for a copy of the weights. `activations` always has the latter, and of each
layer S and two matrices of the weight's size.

Source: Maene et al. 2021, section 3 and figures 3 and 17; `layer` and `activations` are not in the paper.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import Field, field_validator, model_validator

from prunebench import Component, ComponentConfig, ContractError, PlanError, hookimpl
from prunebench.api.tickets import Inputs, Optimum
from prunebench.api.training import LossTerm

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Mask, Units
    from prunebench.api.planning import Chain, Needs, Request
    from prunebench.api.random import Rng
    from prunebench.api.task import Task

IMAGES = 1_000


class RepulsionConfig(ComponentConfig):
    """How strongly, from what, and what a cosine is of.

    Args:
        strength: lambda of the paper, which repels with 2 and attracts with -1.
        against: "all" earlier optima, or the "last" one alone: then a network may go back to the one before.
        by: one cosine of the whole "network", the mean over each "layer", or that in the metric of the "activations".
        images: training images that this metric is taken from, drawn anew for each round.
    """

    later: ClassVar[frozenset[str]] = frozenset({"by", "images"})

    strength: float = Field(default=2.0, allow_inf_nan=False)
    against: Literal["all", "last"] = "all"
    by: Literal["network", "layer", "activations"] = "network"
    images: int = Field(default=IMAGES, ge=2)

    @field_validator("strength")
    @classmethod
    def _does_something(cls, strength: float) -> float:
        if strength == 0:
            raise ValueError("a strength of 0 does nothing; leave the term out")
        return strength

    @model_validator(mode="after")
    def _images_are_looked_at(self) -> RepulsionConfig:
        if self.images != IMAGES and self.by != "activations":
            raise ValueError('images: only by = "activations" looks at images')
        return self


NAME = "repulsion"
BESIDES = 3
"""What is held besides the optima in their short form, in optima: the places, of 8 bytes each, and the weights."""


class Repulsion:
    """Squared cosines to the ends of the find runs of earlier rounds, of the whole network or of each layer."""

    def __init__(self, config: RepulsionConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """The earlier optima; no part in a run that has none: a dense network, or the first of a chain.

        Raises:
            PlanError: no find run of the entry can have one, or the mask is changed while the optima are compared.
        """
        return earlier_optima(request, self._config.against)

    @hookimpl
    def prunebench_loss_terms(
        self, model: nn.Module, units: Units, mask: Mask | None, inputs: Inputs
    ) -> list[LossTerm]:
        """A closed-form gradient for each cosine.

        Raises:
            ContractError: the masks are not nested.
        """
        optima = inputs.get("optima", ())
        if not optima:
            return []
        keep = kept_elements(model, units, mask)
        places = {name: kept.reshape(-1).nonzero().squeeze(1) for name, kept in keep.items()}
        names = [list(keep)] if self._config.by == "network" else by_layer(keep)
        groups = [_Group({name: model.get_parameter(name) for name in own}, places, len(optima)) for own in names]
        for row in range(len(optima)):
            optimum = optima[row]
            for group in groups:
                group.take(row, direction(optimum, group.places, mask))
        return [group.term(self._config.strength / len(groups)) for group in groups]


class RepelledActivations:
    """Squared cosines, layer by layer, of what layers give: in the metric of what they read.

    A component of its own class, so that the other ones are handed no data.
    """

    def __init__(self, config: RepulsionConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> Needs:
        """As Repulsion.

        Raises:
            PlanError: also where the units are not single weights of convolutions and linear layers.
        """
        from prunebench_plugins.scores._weights import refuse_other_layers

        if request.chain.prunes:
            refuse_other_layers(request, 'repulsion by = "activations"')
        return earlier_optima(request, self._config.against)

    @hookimpl
    def prunebench_loss_terms(
        self, model: nn.Module, data: Data, task: Task, units: Units, mask: Mask | None, inputs: Inputs, rng: Rng
    ) -> list[LossTerm]:
        """A closed-form gradient for each layer.

        Raises:
            ContractError: the masks are not nested, or what a layer reads is not known.
        """
        import torch

        from prunebench.kernels.activation_metric import activation_metrics
        from prunebench.kernels.calibration import drawn
        from prunebench_plugins.losses._cosines import metric_gradient

        optima = inputs.get("optima", ())
        if not optima:
            return []
        keep = kept_elements(model, units, mask)
        weights = {name: model.get_parameter(name) for name in keep}
        rows = {
            name: torch.empty(len(optima), int(kept.sum()), dtype=weights[name].dtype) for name, kept in keep.items()
        }
        states = []
        for row in range(len(optima)):
            optimum = optima[row]
            refuse_another_past(optimum, mask)
            states.append(optimum.weights)
            for name, kept in keep.items():
                rows[name][row] = optimum.weights[name][kept]
        images = [taken for taken, _ in drawn(data, task, rng, self._config.images, 1)]
        metrics = activation_metrics('repulsion by = "activations"', model, states, images, list(keep))
        strength = self._config.strength / len(keep)
        gradients = [
            metric_gradient(weights[name], kept, rows[name], metrics[name], strength) for name, kept in keep.items()
        ]
        return [LossTerm(gradient=gradient) for gradient in gradients if gradient is not None]


class _Group:
    """The weights that one cosine is of, and what the mask keeps of the optima there.

    Args:
        weights: by name; `places`: for each, which of its flat elements the mask keeps.
        count: how many optima.
    """

    def __init__(self, weights: Mapping[str, nn.Parameter], places: Mapping[str, Tensor], count: int) -> None:
        import torch

        self.places = {name: places[name] for name in weights}
        self._weights, self._count = list(weights.values()), count
        self._sizes = [len(place) for place in self.places.values()]
        self._device, dtype = next((w.device, w.dtype) for w in self._weights)
        size = sum(weight.numel() for weight in self._weights)
        self._whole = count * size <= (count + BESIDES) * sum(self._sizes)
        if self._whole:
            self._tables = [torch.zeros(count, weight.numel(), dtype=dtype) for weight in self._weights]
        else:
            self._tables = [torch.empty(count, sum(self._sizes), dtype=dtype)]

    def take(self, row: int, direction: Tensor) -> None:
        """One more optimum, as a row of length 1."""
        import torch

        if not self._whole:
            self._tables[0][row] = direction
            return
        parts = torch.split(direction, self._sizes)
        for table, place, part in zip(self._tables, self.places.values(), parts, strict=True):
            table[row, place] = part

    def term(self, strength: float) -> LossTerm:
        """The gradient of strength times the mean of the squared cosines."""
        from prunebench_plugins.losses._cosines import kept_gradient, whole_gradient

        tables = [table.to(self._device) for table in self._tables]
        if self._whole:
            return LossTerm(gradient=whole_gradient(self._weights, tables, strength))
        kept = [place.to(self._device) for place in self.places.values()]
        return LossTerm(gradient=kept_gradient(self._weights, kept, tables[0], strength))


def kept_elements(model: nn.Module, units: Units, mask: Mask | None) -> dict[str, Tensor]:
    """For each parameter that the units touch, in the model's order, which of its elements are kept."""
    from prunebench.api.masks import Mask

    keep = units.expand(Mask.full(units.layers) if mask is None else mask)
    return {name: keep[name] for name, _ in model.named_parameters() if name in keep}


def by_layer(names: Iterable[str]) -> list[list[str]]:
    """Names of parameters, together those of one module."""
    layers: dict[str, list[str]] = {}
    for name in names:
        layers.setdefault(name.rpartition(".")[0], []).append(name)
    return list(layers.values())


def earlier_optima(request: Request, against: Literal["all", "last"]) -> Needs:
    """The optima to keep away from; no part in a run that has none: a dense network, or the first of a chain.

    Raises:
        PlanError: no find run of the entry can have one, or the mask is changed while the optima are compared.
    """
    from prunebench.api.planning import Needs

    chain = request.chain
    if chain.prunes:
        if chain.recipes.find.mask_updates or chain.recipes.evaluate.mask_updates:
            raise PlanError("repulsion: it compares what one mask keeps, and mask_updates change it in the run")
        refuse_what_never_repels(chain)
        if request.round > 0 and not request.optima:
            raise PlanError(
                "repulsion: the entry's schedule trains nothing before it prunes, so there is no earlier optimum; "
                "write loss = [] for this entry"
            )
    optima = request.optima if against == "all" else request.optima[-1:]
    return Needs({"optima": optima}, active=bool(optima))


def refuse_what_never_repels(chain: Chain) -> None:
    """Find runs have an earlier optimum from round 2 on, the runs that judge a ticket from round 1 on.

    Raises:
        PlanError: the term would do nothing in the runs that it is stated for.
    """
    if chain.rounds < 1:
        raise PlanError("repulsion: no round prunes, so there is never an earlier optimum; write rounds = 2")
    if chain.rounds < 2 and any(use.name == NAME for use in chain.recipes.find.loss):
        raise PlanError(
            "repulsion: one round prunes, so no find run has an earlier optimum; write rounds = 2 or more, or keep the "
            "term to the run that judges the ticket: evaluate.loss"
        )


def refuse_another_past(optimum: Optimum, mask: Mask | None) -> None:
    """An optimum has all that is kept now.

    Raises:
        ContractError: it was trained under a mask that lacks some of that.
    """
    if optimum.mask is not None and (mask is None or not mask.issubset(optimum.mask)):
        raise ContractError(
            f"repulsion: the optimum of round {optimum.round} was trained without some of the units that this run has. "
            "It compares what survives from round to round; a ticket edit or a mask update that moves the mask has no "
            "such past"
        )


def direction(optimum: Optimum, places: Mapping[str, Tensor], mask: Mask | None) -> Tensor:
    """What the mask keeps of an optimum, as one row of length 1; 0 where nothing of it is left.

    Args:
        places: for each parameter, which of its flat elements the mask keeps.
    Raises:
        ContractError: the optimum was trained under a mask that lacks some of what is kept now.
    """
    import torch

    refuse_another_past(optimum, mask)
    row = torch.cat([optimum.weights[name].reshape(-1)[place] for name, place in places.items()])
    length = torch.linalg.vector_norm(row, dtype=torch.float64)
    return torch.zeros_like(row) if length == 0 else (row / length).to(row.dtype)


def build(config: RepulsionConfig) -> object:
    """The component for a configuration."""
    return RepelledActivations(config) if config.by == "activations" else Repulsion(config)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `repulsion`."""
    yield Component(NAME, RepulsionConfig, build, version=2, paper="Maene et al. 2021")
