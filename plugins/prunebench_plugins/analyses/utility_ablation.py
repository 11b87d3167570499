"""Utility of weights by ablation: how far a network's answers move when some of its weights are taken out.

The utility of a set of weights is the mean over the training images of KL(f_W(x) || f_{W without it}(x)) in nats; the
utility imbalance is its standard deviation over random sets of one size. Sets are drawn among the surviving weights of
the units' weight tensors: a share of them (`by = "ratio"`), as many as are that share of the full-size network
("number"), or an interval of those sorted by magnitude ("magnitude"). All ends of the judged runs are measured, and
positions on their way there.

Source: "An empirical study of a pruning mechanism" 2021, section 2: definitions 1 to 3, figures 1 to 5.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import isfinite
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from prunebench import Component, ComponentConfig, Measurement, PlanError, Position, hookimpl
from prunebench.api.measurements import Analysis
from prunebench.api.tickets import Inputs, Optimum
from prunebench_plugins.analyses import _utility_figures, _weights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.data import Data
    from prunebench.api.masks import Units
    from prunebench.api.planning import Evaluation, Needs, PlannedTicket, Ref, Request, TrainedPoint
    from prunebench.api.random import Rng
    from prunebench_plugins.analyses._utility import Images, Measured, Sample, Utility

Ratio = Annotated[float, Field(gt=0, le=1)]

PREFIXES = {"ratio": "", "number": "by-number/", "magnitude": "by-magnitude/"}


class UtilityAblationConfig(ComponentConfig):
    """Which states, which sets of weights, and how exactly.

    Args:
        at: positions of the judged runs that are measured beside their ends.
        ratios: of the ablated weights, one after the other.
        by: what a ratio is of: the weights that may be ablated, the `full` network's ("number"), or, sliding from the
            smallest magnitude to the largest, the former ("magnitude").
        full: units of the full-size network, for "number"; those of the network itself if left out.
        subsets: random sets of each ratio.
        slide: for "magnitude", how far an interval is from the next, as a share of its width.
        pretrained: measure the end of the dense find run too, once for each judged round, with sets of the weights that
            the round's mask keeps: those above the pruning threshold.
        above_threshold: of the judged runs too, take only weights that the next round's mask keeps.
        images: training images, evenly spaced, that stand for all: approximate.
        tolerance: stop drawing sets of a ratio once the standard error of their mean utility, in nats, is less:
            approximate.
    """

    at: tuple[Position, ...] = ()
    ratios: Annotated[tuple[Ratio, ...], Field(min_length=1)] = (0.01, 0.05, 0.075, 0.1, 0.15, 0.25)
    by: Literal["ratio", "number", "magnitude"] = "ratio"
    full: Annotated[int, Field(gt=0)] | None = None
    subsets: Annotated[int, Field(gt=1)] = 500
    slide: Annotated[float, Field(gt=0, le=1)] = 1.0
    pretrained: bool = False
    above_threshold: bool = False
    images: Annotated[int, Field(gt=0)] | None = None
    tolerance: Annotated[float, Field(gt=0)] | None = None


class UtilityAblation:
    """Ablates the states of an entry's judged runs."""

    def __init__(self, config: UtilityAblationConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_needs(self, request: Request) -> list[Needs]:
        """For each judged round (draw 0) the states of its run in order, the masks of their sets, and `pretrained`.

        Raises:
            PlanError: a position outside of the run, a mask that does not exist, a set of no weights or of more than
                there are, or more images than the training set has.
        """
        from prunebench.api.planning import Needs

        config, images = self._config, request.chain.data.sizes["train"]
        if config.images is not None and config.images > images:
            raise PlanError(f"utility-ablation: images = {config.images:,}, and there are {images:,} training images")
        asked = []
        for evaluation in request.evaluations:
            if evaluation.draw == 0 and (among := self._among(evaluation, request)) is not None:
                if isinstance(among.count, int):  # otherwise the mask will say, and the analysis looks at it then
                    self._check_sizes(among.count, evaluation.round, request)
                states = self._states(evaluation)
                masks = [_point(state.weights, among.mask, state.round, state.label) for state in states]
                asked.append(Needs({"states": states, "among": masks, "pretrained": self._dense(evaluation, request)}))
        if not asked or (config.pretrained and not any(needs.inputs["pretrained"] for needs in asked)):
            what = "above_threshold" if config.above_threshold else "pretrained"
            raise PlanError(f"utility-ablation: {what}: the entry judges no round with such a mask")
        return asked

    def _among(self, evaluation: Evaluation, request: Request) -> PlannedTicket | None:
        """The ticket whose mask says what may be ablated; None where that is another round's, and there is none."""
        following = evaluation.round + 1
        if not self._config.above_threshold:
            return evaluation.run.ticket.replace(mask=evaluation.mask)
        return request.tickets[following] if following < len(request.tickets) else None

    def _states(self, evaluation: Evaluation) -> list[TrainedPoint]:
        run = evaluation.run
        places = {place.iterations(run.clock): place for place in self._config.at}
        if run.dynamic and places:
            raise PlanError("utility-ablation: at: the run changes its mask while it trains; only its end has a mask")
        points = [
            _point(run.at(places[at]), run.ticket.mask, evaluation.round, f"{at}it")
            for at in sorted(places.keys() - {run.stop})
        ]
        return [*points, _point(run.end, evaluation.mask, evaluation.round, f"{run.stop}it")]

    def _dense(self, evaluation: Evaluation, request: Request) -> list[TrainedPoint]:
        if not self._config.pretrained or evaluation.mask is None:
            return []
        dense = _weights.dense_run(request.chain)
        return [_point(dense.end, evaluation.mask, evaluation.round, f"{dense.stop}it")]

    def _check_sizes(self, count: int, round: int, request: Request) -> None:
        units = request.chain.model.units
        for ratio in self._config.ratios:
            size = self._size(ratio, count, units, units)
            if not 0 < size <= count:
                raise PlanError(
                    f"utility-ablation: round {round}: ratio {ratio:g} is {size:,} of {count:,} surviving units; a set "
                    "has at least 1, and at most all: state other `ratios`"
                )

    def _size(self, ratio: float, count: int, units: int, weights: int) -> int:
        """How many of `count` survivors are ablated, for a network of so many weights in so many units."""
        if self._config.by != "number":
            return round(ratio * count)
        return round(ratio * weights * (self._config.full or units) / units)

    @hookimpl
    def prunebench_analyse(self, inputs: Inputs, model: nn.Module, data: Data, units: Units, rng: Rng) -> Analysis:
        """Statistics of each state and ratio: of utility `mean`, `sd`, `minimum` and `maximum`, and of the accuracy.

        `accuracy` is that of the whole network. By magnitude, each interval has a `utility` and an
        `accuracy_without` of its own, named by the share of weights that are smaller. What is infinite is left out.
        """
        from prunebench_plugins.analyses._utility import Images

        images = Images(data["train"], self._config.images)
        approximate = images.count < data["train"].size or self._config.tolerance is not None
        places: list[Measured] = []
        for state, among in zip(inputs["states"], inputs["among"], strict=True):
            places.append(self._measured(state, among, "", model, units, rng, images))
        for state in inputs["pretrained"]:
            places.append(self._measured(state, state, "pretrained", model, units, rng, images))
        said = f"{images.count:,} of {data['train'].size:,} training images" if approximate else "all training images"
        if self._config.tolerance is not None:
            said += f", sets drawn until the standard error is below {self._config.tolerance:g} nats"
        measurements = [m for place in places for m in self._measurements(place, approximate)]
        figures = _utility_figures.figures(
            places, self._config.by, f"{'Approximate' if approximate else 'Measured'} on {said}."
        )
        return Analysis(tuple(measurements), tuple(figures))

    def _measured(
        self, state: Optimum, among: Optimum, kind: str, model: nn.Module, units: Units, rng: Rng, images: Images
    ) -> Measured:
        from prunebench_plugins.analyses._utility import Measured, Utility, alive_magnitudes

        model.load_state_dict(dict(state.weights))
        if not kind and state.mask is not None:
            # Where a run starts, its weights may still be those of the dense network.
            for name, keep in units.expand(state.mask).items():
                parameter = model.get_parameter(name)
                parameter.data.masked_fill_(~keep.to(parameter.device), 0.0)
        alive = _weights.kept_weights(units, among.mask)
        utility = Utility(model, alive, images)
        total = sum(keep.numel() for keep in alive.values())
        samples: dict[float, Sample] = {}
        starts: dict[float, list[float]] = {}
        for ratio in self._config.ratios:
            size = self._size(ratio, utility.count, units.count, total)
            if not 0 < size <= utility.count:
                raise PlanError(
                    f"utility-ablation: round {state.round}: ratio {ratio:g} is {size:,} of {utility.count:,} "
                    "surviving weights"
                )
            if self._config.by == "magnitude":
                magnitudes = alive_magnitudes(state.weights, alive)
                samples[ratio], begun = self._sorted(utility, magnitudes, size)
                starts[ratio] = [start / utility.count for start in begun]
            else:
                samples[ratio] = self._random(utility, size, rng)
        return Measured(kind, state.round, state.label, utility.accuracy, samples, starts)

    def _random(self, utility: Utility, size: int, rng: Rng) -> Sample:
        from prunebench_plugins.analyses._subsets import random_subset

        # More than one set of all weights would be the same again.
        count = 1 if size == utility.count else self._config.subsets
        subsets = (random_subset(rng, utility.count, size, index) for index in range(count))
        return utility.sample(subsets, self._config.tolerance)

    def _sorted(self, utility: Utility, magnitudes: Tensor, size: int) -> tuple[Sample, list[int]]:
        from prunebench_plugins.analyses._subsets import intervals

        begun: list[int] = []

        def chosen() -> Iterator[Tensor]:
            for start, subset in intervals(magnitudes, size, self._config.slide):
                begun.append(start)
                yield subset

        return utility.sample(chosen(), None), begun

    def _measurements(self, place: Measured, approximate: bool) -> Iterator[Measurement]:
        by = PREFIXES[self._config.by] + (f"{place.kind}/" if place.kind else "")
        label = ", approximate" if approximate else ""

        def one(name: str, value: float) -> Measurement:
            unit = "fraction" if name.startswith("accuracy") else "nats"
            return Measurement(by + name, value, unit + label, place.round, place.position, "train")

        yield one("accuracy", place.accuracy)
        for ratio, sample in place.samples.items():
            if self._config.by == "magnitude":
                rows = zip(place.starts[ratio], sample.utilities, sample.accuracies, strict=True)
                for start, utility, accuracy in rows:
                    if isfinite(utility):
                        yield one(f"utility/{ratio:g}/above-{start:.4f}", utility)
                    yield one(f"accuracy_without/{ratio:g}/above-{start:.4f}", accuracy)
                continue
            for name, value in sample.statistics().items():
                yield one(f"{name}/{ratio:g}", value)
            if self._config.tolerance is not None:
                count = float(len(sample.utilities))
                yield Measurement(f"{by}subsets/{ratio:g}", count, "", place.round, place.position, "train")


def _point(weights: Ref, mask: Ref | None, round: int, label: str) -> TrainedPoint:
    from prunebench.api.planning import TrainedPoint

    return TrainedPoint(weights, mask, round, label)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `utility-ablation`."""
    paper = "An empirical study of a pruning mechanism, 2021"
    yield Component("utility-ablation", UtilityAblationConfig, UtilityAblation, version=1, paper=paper)
