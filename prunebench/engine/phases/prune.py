"""A pruning: scores, and a selection of exactly so many units, or of as many as leave a share of a cost."""

from __future__ import annotations

from torch import nn

from prunebench.api.cost_share import CostShare
from prunebench.api.errors import ContractError
from prunebench.api.masks import Mask, Scores, Units
from prunebench.components.own_count import own_count
from prunebench.engine.masking import MaskedParameters, handed
from prunebench.engine.phases.checks import check_mask, check_scores
from prunebench.engine.phases.produced import Produced, mask_files
from prunebench.engine.workbench import Workbench
from prunebench.kernels.costs import counter_of, mask_at_share
from prunebench.plan.specs import PruneSpec, drawn_from


def prune(spec: PruneSpec, workbench: Workbench) -> Produced:
    """The mask that a state's scores and the selection leave.

    Raises:
        ContractError: the score or the selection broke its hook's contract.
    """
    mask = workbench.mask(spec.mask)
    model = workbench.model(spec.model, workbench.tensors(spec.weights))
    units = workbench.units(spec.units, spec.task, spec.model, model)
    if mask is not None:
        MaskedParameters(model, units, mask).zero_weights()
    scores = _scores(spec, workbench, model, units, mask)
    alive = Mask.full(units.layers) if mask is None else mask
    selected = _selected(spec, workbench, scores, units, alive, model)
    files, meta = mask_files(selected, units, model, workbench.example(spec.task, spec.model))
    silent = unscored(scores, units, alive)
    return {"mask": (files, {**meta, "unscored": silent} if silent else meta)}


def unscored(scores: Scores, units: Units, alive: Mask) -> list[str]:
    """Names of the layers of which every unit alive scores exactly 0: the score says nothing of them.

    So it is where no gradient comes to a layer, as behind a branch that starts at zero. A global cut then empties such
    layers first, whatever they are worth.
    """
    found = []
    for layer, values, keep in zip(units.layers, scores.values, alive.keep, strict=True):
        living = values[keep.to(values.device)]
        if living.numel() and not bool(living.any()):
            found.append(layer.name)
    return found if len(found) < len(units.layers) else []


def _scores(spec: PruneSpec, workbench: Workbench, model: nn.Module, units: Units, mask: Mask | None) -> Scores:
    (score,), manager = workbench.manager(spec.score)
    who = f"score {score}, round {spec.streams.round}"
    before = {name: value._version for name, value in model.state_dict(keep_vars=True).items()}
    with workbench.lent(spec.data, spec.streams.seed, score, "prunebench_score") as data:
        scores: Scores | None = manager.hook.prunebench_score(
            model=model,
            data=data,
            task=workbench.task(spec.task),
            units=units,
            mask=handed(mask),
            inputs=workbench.inputs(spec.score),
            rng=drawn_from(spec).rng("score"),
        )
    if any(v._version != before[n] for n, v in model.state_dict(keep_vars=True).items() if n in before):
        raise ContractError(f"{who}: it changed the model; scores only read it")
    return check_scores(scores, units, who)


def _selected(
    spec: PruneSpec, workbench: Workbench, scores: Scores, units: Units, alive: Mask, model: nn.Module
) -> Mask:
    (select,), manager = workbench.manager(spec.select)
    who = f"select {select}, round {spec.streams.round}"

    def selected(count: int) -> Mask:
        mask: Mask | None = manager.hook.prunebench_select(
            scores=scores,
            units=units,
            mask=handed(alive),
            count=count,
            cut=spec.cut,
            round=spec.streams.round,
            inputs=workbench.inputs(spec.select),
            rng=spec.streams.rng("select"),
        )
        return check_mask(mask, alive, count, units, who)

    if not isinstance(spec.count, CostShare):
        return selected(spec.count)

    def about(count: int) -> Mask | None:
        """For a number of units, or the nearest that the selection's pattern has."""
        own = own_count(select, units.layers, count, spec.streams.round)
        return selected(own) if own is not None and 0 < own <= alive.count else None

    counter = counter_of(spec.count.of, model, workbench.example(spec.task, spec.model), units)
    mask = mask_at_share(spec.count, alive, units.layers, about, counter)
    if mask is None:
        raise ContractError(f"{who}: however few units it keeps, more than {spec.count} is left; ask for more")
    return mask
