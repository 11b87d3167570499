"""One edit of a ticket: as many units as before, other ones or other weights."""

from __future__ import annotations

from contextlib import nullcontext

import torch
from torch import Tensor

from prunebench.api.errors import ContractError
from prunebench.api.masks import Mask
from prunebench.api.random import Rng
from prunebench.api.tickets import Ticket
from prunebench.engine.masking import handed
from prunebench.engine.phases.checks import check_mask
from prunebench.engine.phases.produced import Produced, mask_files, weights_files
from prunebench.engine.workbench import Workbench
from prunebench.plan.specs import EditSpec


def edit(spec: EditSpec, workbench: Workbench) -> Produced:
    """The edited ticket's weights, and its mask where it has one.

    Raises:
        ContractError: the edit broke its hook's contract.
    """
    weights, mask = workbench.tensors(spec.weights), workbench.mask(spec.mask)
    model = workbench.model(spec.model, weights)
    units = workbench.units(spec.units, spec.task, spec.model, model)
    (component,), manager = workbench.manager(spec.edit)

    def fresh(rng: Rng) -> dict[str, Tensor]:
        return workbench.fresh(spec.model, spec.init, rng)

    seed = spec.streams.seed
    lent = workbench.lent(spec.data, seed, component, "prunebench_ticket") if spec.data is not None else nullcontext()
    with lent as data:
        edited: Ticket | None = manager.hook.prunebench_ticket(
            ticket=Ticket(weights, handed(mask), spec.start),
            model=model,
            data=data,
            task=workbench.task(spec.task),
            units=units,
            fresh=fresh,
            inputs=workbench.inputs(spec.edit),
            rng=spec.streams.rng("ticket").child(component.name),
        )
    who = f"ticket {component}, round {spec.streams.round}"
    if not isinstance(edited, Ticket):
        raise ContractError(f"{who}: it returned {type(edited).__name__}, not a Ticket")
    shapes = {name: value.shape for name, value in weights.items()}
    if {name: value.shape for name, value in edited.weights.items()} != shapes:
        raise ContractError(f"{who}: the weights' names or shapes changed")
    for name, value in edited.weights.items():
        if not isinstance(value, Tensor) or value.layout != torch.strided or value.is_meta:
            raise ContractError(f"{who}: {name} is no dense tensor")
        if value.dtype != weights[name].dtype:
            raise ContractError(f"{who}: {name} is {value.dtype}, and was {weights[name].dtype}")
        if not bool(torch.isfinite(value).all()):
            raise ContractError(f"{who}: {name} is not finite")
    produced = {"weights": weights_files(edited.weights)}
    if mask is not None:
        new = check_mask(edited.mask, Mask.full(units.layers), mask.count, units, who)
        files, meta = mask_files(new, units, model, workbench.example(spec.task, spec.model))
        assert spec.mask is not None
        said = workbench.artifact(spec.mask).meta.get("notes")  # what a pruning said of the ticket is true of it still
        produced["mask"] = files, meta if said is None else {**meta, "notes": said}
    return produced
