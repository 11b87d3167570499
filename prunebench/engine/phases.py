"""What each kind of phase does: init, prune, edit, analyse; training has a module of its own."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from torch import Tensor

from prunebench.api.errors import ContractError
from prunebench.api.masks import Mask, Scores, Units
from prunebench.api.measurements import Analysis
from prunebench.api.random import Rng
from prunebench.api.tickets import State, Ticket
from prunebench.components.managers import accepts
from prunebench.engine.masking import MaskedParameters
from prunebench.engine.trajectory import train
from prunebench.engine.work import Channel, Work
from prunebench.engine.workbench import DivergedParentError, Workbench, mask_meta, pack_mask
from prunebench.kernels.selection import first_nan
from prunebench.plan.specs import AnalyseSpec, EditSpec, InitSpec, LoadSpec, PruneSpec, TrainSpec
from prunebench.store.tensors import dump_tensors


def perform(work: Work, workbench: Workbench, channel: Channel, checkpoint_seconds: float) -> None:
    """Do the work: every output that is missing is in the store afterwards.

    A parent that diverged makes the outputs diverge too: they are stored as such, once.

    Raises:
        LostArtifact: a parent is gone or corrupt and must be made again.
        ContractError: a plugin broke a hook's contract.
    """
    outputs = tuple(ref for ref in work.outputs if not workbench.store.has(ref.address))
    if not outputs:
        return
    try:
        if isinstance(work.spec, TrainSpec):
            train(work, work.spec, outputs, workbench, channel, checkpoint_seconds)
        else:
            produced = _produced(work.spec, workbench)
            for ref in outputs:
                workbench.store.put(ref.address, *produced[ref.part], work.parents)
    except DivergedParentError as parent:
        for ref in outputs:
            workbench.store.put(ref.address, {}, parent.meta, work.parents)


Produced = dict[str, tuple[dict[str, bytes], dict[str, Any]]]
"""For each part: its files and metadata."""


def _produced(spec: InitSpec | LoadSpec | PruneSpec | EditSpec | AnalyseSpec, workbench: Workbench) -> Produced:
    match spec:
        case InitSpec():
            drawn = workbench.fresh(spec.model, spec.init, spec.streams.rng("init"))
            return _weights(drawn if spec.weights is None else workbench.transferred(spec.model, spec.weights, drawn))
        case LoadSpec():
            return _weights(workbench.pretrained(spec.model, spec.weights))
        case PruneSpec():
            return _prune(spec, workbench)
        case EditSpec():
            return _edit(spec, workbench)
        case AnalyseSpec():
            return _analyse(spec, workbench)


def _weights(state: State) -> Produced:
    return {"weights": ({"weights.safetensors": dump_tensors(state)}, {})}


def _prune(spec: PruneSpec, workbench: Workbench) -> Produced:
    streams, count = spec.streams, spec.count
    mask = workbench.mask(spec.mask)
    model = workbench.model(spec.model, workbench.tensors(spec.weights))
    units = workbench.units(spec.units, spec.task, spec.model, model)
    if mask is not None:
        MaskedParameters(model, units, mask).zero_weights()
    alive = Mask.full(units.layers) if mask is None else mask

    (scorer,), manager = workbench.manager(spec.score)
    before = {name: value._version for name, value in model.state_dict(keep_vars=True).items()}
    scores: Scores | None = manager.hook.prunebench_score(
        model=model,
        data=workbench.data(spec.data, streams.seed) if accepts(scorer.planner, "prunebench_score", "data") else None,
        task=workbench.task(spec.task),
        units=units,
        mask=mask,
        inputs=workbench.inputs(spec.score),
        rng=streams.rng("score"),
    )
    check_scores(scores, units, f"score {scorer}, round {streams.round}")
    assert scores is not None
    if any(v._version != before[n] for n, v in model.state_dict(keep_vars=True).items() if n in before):
        raise ContractError(f"score {scorer}, round {streams.round}: it changed the model; scores only read it")

    (selector,), manager = workbench.manager(spec.select)
    kept: Mask | None = manager.hook.prunebench_select(
        scores=scores,
        units=units,
        mask=alive,
        count=count,
        cut=spec.cut,
        round=streams.round,
        inputs=workbench.inputs(spec.select),
        rng=streams.rng("select"),
    )
    check_mask(kept, alive, count, units, f"select {selector}, round {streams.round}")
    assert kept is not None
    files = {"mask.safetensors": dump_tensors(pack_mask(kept))}
    return {"mask": (files, mask_meta(kept, units, model, workbench.example(spec.task, spec.model)))}


def check_scores(scores: Scores | None, units: Units, who: str) -> None:
    """Raises ContractError: not Scores, a wrong length, not floats, or a NaN, with the layer's name."""
    if not isinstance(scores, Scores):
        raise ContractError(f"{who}: it returned {type(scores).__name__}, not Scores")
    sizes = [int(v.numel()) for v in scores.values]
    wanted = [layer.count for layer in units.layers]
    if sizes != wanted:
        where = next((n for n, (a, b) in enumerate(zip(sizes, wanted, strict=False)) if a != b), None)
        detail = "" if where is None else f" (layer {units.layers[where].name}: {sizes[where]:,} of {wanted[where]:,})"
        raise ContractError(f"{who}: it scored {sum(sizes):,} units of {sum(wanted):,}{detail}")
    for layer, values in zip(units.layers, scores.values, strict=True):
        if not values.is_floating_point():
            raise ContractError(f"{who}: the scores of layer {layer.name} are {values.dtype}, not floats")
    index = first_nan(scores.values)
    if index is not None:
        raise ContractError(f"{who}: NaN among the scores of layer {units.layers[index].name}")


def check_mask(kept: Mask | None, alive: Mask, count: int, units: Units, who: str) -> None:
    """Raises ContractError: not a Mask, a revived unit, or another count than was asked for."""
    if not isinstance(kept, Mask):
        raise ContractError(f"{who}: it returned {type(kept).__name__}, not a Mask")
    if [k.numel() for k in kept.keep] != [a.numel() for a in alive.keep]:
        raise ContractError(f"{who}: the mask's layers do not have the units' sizes")
    for layer, new, old in zip(units.layers, kept.keep, alive.keep, strict=True):
        revived = int((new & ~old).sum())
        if revived:
            raise ContractError(f"{who}: it revived {revived:,} pruned units of layer {layer.name}")
    if kept.count != count:
        raise ContractError(f"{who}: it kept {kept.count:,} units; {count:,} were asked for")


def _edit(spec: EditSpec, workbench: Workbench) -> Produced:
    streams = spec.streams
    weights, mask = workbench.tensors(spec.weights), workbench.mask(spec.mask)
    model = workbench.model(spec.model, weights)
    units = workbench.units(spec.units, spec.task, spec.model, model)
    (use,), manager = workbench.manager(spec.edit)

    def fresh(rng: Rng) -> dict[str, Tensor]:
        return workbench.fresh(spec.model, spec.init, rng)

    edited: Ticket | None = manager.hook.prunebench_ticket(
        ticket=Ticket(weights, mask, spec.start),
        model=model,
        units=units,
        fresh=fresh,
        inputs=workbench.inputs(spec.edit),
        rng=streams.rng("ticket").child(use.name),
    )
    who = f"ticket {use}, round {streams.round}"
    if not isinstance(edited, Ticket):
        raise ContractError(f"{who}: it returned {type(edited).__name__}, not a Ticket")
    shapes = {name: value.shape for name, value in weights.items()}
    if {name: value.shape for name, value in edited.weights.items()} != shapes:
        raise ContractError(f"{who}: the weights' names or shapes changed")
    produced = _weights(edited.weights)
    if mask is not None:
        everything = Mask.full(units.layers)
        check_mask(edited.mask, everything, mask.count, units, who)
        assert edited.mask is not None
        files = {"mask.safetensors": dump_tensors(pack_mask(edited.mask))}
        produced["mask"] = (files, mask_meta(edited.mask, units, model, workbench.example(spec.task, spec.model)))
    return produced


def _analyse(spec: AnalyseSpec, workbench: Workbench) -> Produced:
    streams = spec.streams
    (use,), manager = workbench.manager(spec.analysis)
    inputs = workbench.inputs(spec.analysis)
    model = workbench.architecture(spec.model).to(workbench.device).eval()
    answers = manager.hook.prunebench_analyse(
        inputs=inputs,
        model=model,
        data=workbench.data(spec.data, streams.seed) if accepts(use.planner, "prunebench_analyse", "data") else None,
        task=workbench.task(spec.task),
        units=workbench.units(spec.units, spec.task, spec.model, model),
        rng=streams.rng("analyse").child(use.name),
    )
    files: dict[str, bytes] = {}
    measurements: list[dict[str, Any]] = []
    figures: list[dict[str, str]] = []
    for answer in answers:
        if not isinstance(answer, Analysis):
            raise ContractError(f"analysis {use}: it returned {type(answer).__name__}, not an Analysis")
        for m in answer.measurements:
            if not math.isfinite(m.value):
                raise ContractError(f"analysis {use}: {m.metric} of round {m.round} is {m.value}; leave it out instead")
            measurements.append(vars(replace(m, value=float(m.value))))
        for figure in answer.figures:
            files[f"{figure.name}.svg"] = figure.svg.encode()
            figures.append({"name": figure.name, "caption": figure.caption})
    return {"analysis": (files, {"measurements": measurements, "figures": figures})}
