"""A pruning that chooses the mask and updates the weights together."""

from __future__ import annotations

from contextlib import nullcontext
from fnmatch import fnmatchcase

import torch
from torch import Tensor

from prunebench.api.errors import ContractError
from prunebench.api.masks import Mask, Units
from prunebench.api.tickets import Pruned, State
from prunebench.api.untrusted_text import printable
from prunebench.engine.masking import MaskedParameters, handed
from prunebench.engine.phases.checks import check_mask
from prunebench.engine.phases.produced import Produced, mask_files, weights_files
from prunebench.engine.workbench import Workbench
from prunebench.plan.specs import JointPruneSpec, drawn_from

NOTE = 500
"""Characters of a note at most."""


def prune_jointly(spec: JointPruneSpec, workbench: Workbench) -> Produced:
    """The mask, and the whole state with the weights that the component updated; 0 off the mask.

    Raises:
        ContractError: the component broke its hook's contract.
    """
    mask, before = workbench.mask(spec.mask), workbench.tensors(spec.weights)
    model = workbench.model(spec.model, before)  # the component's own: what it does to it is not stored
    units = workbench.units(spec.units, spec.task, spec.model, model)
    if mask is not None:
        MaskedParameters(model, units, mask).zero_weights()
    alive = Mask.full(units.layers) if mask is None else mask
    (component,), manager = workbench.manager(spec.prune)
    who = f"prune {component}, round {spec.streams.round}"
    seed = spec.streams.seed
    lent = workbench.lent(spec.data, seed, component, "prunebench_prune") if spec.data is not None else nullcontext()
    with lent as data:
        pruned: object = manager.hook.prunebench_prune(
            model=model,
            data=data,
            task=workbench.task(spec.task),
            units=units,
            mask=handed(alive),
            count=spec.count,
            cut=spec.cut,
            round=spec.streams.round,
            inputs=workbench.inputs(spec.prune),
            rng=drawn_from(spec).rng("prune"),
        )
    if not isinstance(pruned, Pruned):
        raise ContractError(f"{who}: it returned {type(pruned).__name__}, not Pruned")
    kept = check_mask(pruned.mask, alive, spec.count, units, who)
    state = updated(before, pruned.weights, kept, units, spec.updates or (), who)
    files, meta = mask_files(kept, units, model, workbench.example(spec.task, spec.model))
    if pruned.notes:
        meta = {**meta, "notes": checked_notes(pruned.notes, who)}
    return {"mask": (files, meta), "weights": weights_files(state)}


def checked_notes(notes: object, who: str) -> list[str]:
    """The notes of a pruning, as they may reach a terminal or a page.

    Raises:
        ContractError: they are no texts, or longer than a reader would want.
    """
    if not isinstance(notes, tuple) or not all(isinstance(note, str) and len(note) <= NOTE for note in notes):
        raise ContractError(f"{who}: its notes must be a tuple of texts of at most {NOTE} characters")
    return [printable(note) for note in notes]


def updated(
    before: State, changed: State, mask: Mask, units: Units, declared: tuple[str, ...], who: str
) -> dict[str, Tensor]:
    """The state with the tensors that a component changed, on the CPU; what the mask removes is 0 in all of it.

    Args:
        declared: names or patterns of tensors that may change beside those that the units touch.
    Raises:
        ContractError: another tensor, shape or type than it may change, a value that is not finite, or a weight that
            the mask removes and that is not 0.
    """
    keep = units.expand(mask)
    state = {name: value.masked_fill(~keep[name], 0.0) if name in keep else value for name, value in before.items()}
    for name, value in changed.items():
        if name not in before:
            raise ContractError(f'{who}: the network has no tensor "{name}"')
        if name not in keep and not any(fnmatchcase(name, pattern) for pattern in declared):
            raise ContractError(
                f"{who}: it changed {name}, which no unit touches; declare it: Needs(updates=({name!r},))"
            )
        if not isinstance(value, Tensor) or value.shape != before[name].shape or value.dtype != before[name].dtype:
            raise ContractError(f"{who}: {name} has another shape or type than before")
        if value.layout != torch.strided or value.is_meta:
            raise ContractError(f"{who}: {name} is no dense tensor")
        value = value.detach().cpu()
        if not bool(torch.isfinite(value).all()):
            raise ContractError(f"{who}: {name} is not finite")
        if name in keep:
            moved = int((value[~keep[name]] != 0).sum())
            if moved:
                raise ContractError(f"{who}: {moved:,} pruned weights of {name} are not 0")
            value = value.masked_fill(~keep[name], 0.0)  # a minus zero too
        state[name] = value
    return state
