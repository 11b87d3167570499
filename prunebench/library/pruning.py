"""One network pruned in memory by the suite's components, without a file, a store or training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import TYPE_CHECKING, Any, Literal

from prunebench.api.component import BoundComponent
from prunebench.api.cost_share import CostShare
from prunebench.api.data import Data, ResidentTensors
from prunebench.api.errors import CannotTakePart, PrunebenchError
from prunebench.api.info import DataInfo
from prunebench.api.masks import Mask, Scores, Units
from prunebench.api.random import Streams
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import accepts, implements, run_manager
from prunebench.components.own_count import own_count
from prunebench.kernels.counts import count_at

if TYPE_CHECKING:
    from torch import Tensor, nn

    from prunebench.api.task import Task

Named = str | Mapping[str, Any]
"""A component as a benchmark file names it: "magnitude", or {"use": "snip", "batch": 64}."""

MOST = 65_536
"""Examples of a loader that are held in memory at most; scores draw from these."""


@dataclass(frozen=True)
class LayerReport:
    """What became of one layer: its name, how many units it has, how many were kept."""

    name: str
    units: int
    kept: int

    @property
    def density(self) -> float:
        """The share of its units that was kept."""
        return self.kept / self.units


@dataclass(frozen=True, eq=False)
class Pruning:
    """A pruned network.

    Args:
        model: a copy of the given network, its pruned weights exactly zero; on its device, in its mode.
        mask: which units were kept.
        units: what they are.
        scores: what each unit was worth; None where a component chose mask and weights together.
        excluded: what could have been pruned and was not, with the reason.
    """

    model: nn.Module
    mask: Mask
    units: Units
    scores: Scores | None = None
    excluded: Mapping[str, str] = field(default_factory=dict)

    @property
    def density(self) -> float:
        """The share of the units that was kept."""
        return self.mask.count / self.units.count

    @property
    def layers(self) -> tuple[LayerReport, ...]:
        """What became of each layer."""
        kept = self.mask.counts
        return tuple(LayerReport(a.name, a.count, n) for a, n in zip(self.units.layers, kept, strict=True))

    def masks(self) -> dict[str, Tensor]:
        """By parameter, a bool tensor of its shape: what stays. On the CPU."""
        return dict(self.units.expand(self.mask))

    def mask_gradients(self) -> None:
        """Zero the gradients of pruned weights: after `backward`, before the optimizer's step.

        With it, SGD and Adam that start from fresh state keep pruned weights exactly zero.
        """
        keep = self.masks()
        for name, parameter in self.model.named_parameters():
            if name in keep and parameter.grad is not None:
                parameter.grad.masked_fill_(~keep[name].to(parameter.device), 0.0)

    def shrink(self) -> nn.Module:
        """A network that computes the same and is as small as the units allow: channels are taken out for real."""
        return self.units.shrink(self.model, self.mask)

    def __str__(self) -> str:
        wide = max(len(layer.name) for layer in self.layers)
        count, total = max(len(f"{layer.kept:,}") for layer in self.layers), self.units.count
        lines = [f"{self.mask.count:,} of {total:,} units kept: density {100 * self.density:.4g} %"]
        for layer in self.layers:
            lines.append(
                f"  {layer.name:<{wide}}  {layer.kept:>{count},} of {layer.units:,}  {100 * layer.density:.4g} %"
            )
        lines += [f"  {name}: not pruned: {why}" for name, why in self.excluded.items()]
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Pruning({self.mask.count:,} of {self.units.count:,} units kept)"


def prune(
    model: nn.Module,
    data: Iterable[tuple[Tensor, Tensor]] | None = None,
    *,
    density: float,
    density_of: Literal["units", "parameters", "macs"] = "units",
    score: Named = "magnitude",
    select: Named = "global",
    units: Named = "weights",
    task: Named = "classification",
    update: Named | None = None,
    example: Tensor | None = None,
    mask: Mask | None = None,
    classes: int | None = None,
    seed: int = 0,
    catalogue: Catalogue | None = None,
) -> Pruning:
    """Prune a network of your own with the suite's components.

    Args:
        model: it is not changed.
        data: batches (inputs, targets) as the network takes them, such as a DataLoader; for scores that look at data.
            The first 65,536 examples are held.
        density: the share of units to keep, in (0, 1]; exactly round(density * units) are.
        density_of: what it is a share of: units, or a cost of the network (all its parameters, or the
            multiply-accumulates of one example), for which the number of units is found that comes nearest.
        score, select, units, task: components, by name or as a table.
        update: a component that chooses mask and weights together, such as "sparsegpt", in place of score and select.
        example: a batch of one, where there is no `data`: units of channels and the search for the classifier follow it
            through the network.
        mask: an earlier pruning's, of the same units, that this one goes on from.
        classes: how many the network tells apart; its number of outputs by default.
        seed: of what the components draw.
    Raises:
        ConfigError: no such component, or a wrong configuration.
        PrunebenchError: a component needs what only a benchmark file has (such as earlier rounds), or data.
        ContractError: a component broke its hook's contract.
    Example:
        >>> import torch, prunebench
        >>> net = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.ReLU(), torch.nn.Linear(16, 4))
        >>> pruning = prunebench.prune(net, density=0.25)
        >>> pruning.mask.count, round(pruning.density, 2)
        (32, 0.25)
    """
    import torch

    from prunebench.engine.masking import MaskedParameters
    from prunebench.engine.phases.checks import check_mask, check_scores
    from prunebench.kernels.costs import counter_of, mask_at_share
    from prunebench.kernels.networks import copied

    if not (isfinite(density) and 0 < density <= 1):
        raise PrunebenchError(f"density {density!r}: it is a share of the units, above 0 and at most 1")
    catalogue = Catalogue.load() if catalogue is None else catalogue
    pruned = copied(model)
    was_training = pruned.training
    pruned.eval()
    split = None if data is None else _held(data)
    taken = _example(pruned, split, example)
    device = next((p.device for p in pruned.parameters()), torch.device("cpu"))
    with torch.no_grad():
        outputs = pruned(taken.to(device))
    info = _info(split, taken, classes or int(outputs.shape[-1]))
    found: Units = run_manager([catalogue.use(units, slot="units", where="units")]).hook.prunebench_units(
        model=pruned, data_info=info, example=taken
    )
    alive = Mask.full(found.layers) if mask is None else mask
    if [k.numel() for k in alive.keep] != [layer.count for layer in found.layers]:
        raise PrunebenchError("mask: it is not of these units")
    if mask is not None:
        MaskedParameters(pruned, found, mask).zero_weights()
    if density_of != "units" and update is not None:
        raise PrunebenchError("density_of: an update needs a number of units; give a score and a select, or units")
    count = count_at(density, found.count)
    if density_of == "units" and not 0 < count <= alive.count:
        raise PrunebenchError(
            f"density {density:g} keeps {count:,} units; {alive.count:,} of {found.count:,} are alive"
        )
    lent = None if split is None else Data(info, {"train": split}).to(device)
    made: Task = run_manager([catalogue.use(task, slot="task", where="task")]).hook.prunebench_task(label_smoothing=0.0)
    common = {"task": made, "units": found, "inputs": {}}
    streams = Streams(seed, round=1)
    scores: Scores | None = None
    if update is None:
        scorer = _usable(catalogue.use(score, slot="score", where="score"), "prunebench_score", lent)
        selector = _usable(catalogue.use(select, slot="select", where="select"), "prunebench_select", lent)
        with torch.inference_mode(False):
            answer = run_manager([scorer]).hook.prunebench_score(
                model=pruned, data=lent, mask=mask, rng=streams.rng("score"), **common
            )
        scores = check_scores(answer, found, f"score {scorer}")
        valid = scores

        def selected(count: int, cut: float | None) -> Mask:
            chosen = run_manager([selector]).hook.prunebench_select(
                scores=valid,
                units=found,
                mask=alive,
                count=count,
                cut=cut,
                round=1,
                inputs={},
                rng=streams.rng("select"),
            )
            return check_mask(chosen, alive, count, found, f"select {selector}")

        def about(count: int) -> Mask | None:
            own = own_count(selector, found.layers, count, 1)
            return selected(own, None) if own is not None and 0 < own <= alive.count else None

        if density_of == "units" or density == 1:
            kept = selected(count, 1.0 - count / alive.count)
        else:
            share = CostShare(density_of, density)
            solved = mask_at_share(share, alive, found.layers, about, counter_of(density_of, pruned, taken, found))
            if solved is None:
                raise PrunebenchError(f"select {selector}: however few units it keeps, more than {share} is left")
            kept = solved
    else:
        kept = _updated(
            pruned, catalogue.use(update, slot="prune", where="update"), lent, alive, count, common, streams
        )
    MaskedParameters(pruned, found, kept).zero_weights()
    return Pruning(pruned.train(was_training), kept, found, scores, dict(found.excluded))


def _updated(
    pruned: nn.Module,
    use: BoundComponent,
    lent: Data | None,
    alive: Mask,
    count: int,
    common: Mapping[str, Any],
    streams: Streams,
) -> Mask:
    """The mask that a component chose; the network has the weights that it gave with it."""
    from prunebench.api.tickets import Pruned
    from prunebench.engine.phases.checks import check_mask
    from prunebench.engine.phases.joint_prune import updated
    from prunebench.kernels.networks import copied

    _usable(use, "prunebench_prune", lent)
    found: Units = common["units"]
    answer = run_manager([use]).hook.prunebench_prune(
        model=copied(pruned),
        data=lent,
        mask=alive,
        count=count,
        cut=1.0 - count / alive.count,
        round=1,
        rng=streams.rng("prune"),
        **common,
    )
    who = f"update {use}"
    if not isinstance(answer, Pruned):
        raise PrunebenchError(f"{who}: it returned {type(answer).__name__}, not Pruned")
    kept = check_mask(answer.mask, alive, count, found, who)
    before = {name: value.detach().cpu() for name, value in pruned.state_dict().items()}
    pruned.load_state_dict(updated(before, answer.weights, kept, found, ("*",), who))
    return kept


def _usable(use: BoundComponent, hook: str, data: Data | None) -> BoundComponent:
    """The component. Raises PrunebenchError if it needs what is not there."""
    if implements(use.planner, "prunebench_needs") and accepts(use.planner, hook, "inputs"):
        raise CannotTakePart(f"{use} looks at earlier rounds or at other entries, which only a benchmark file has")
    if data is None and accepts(use.planner, hook, "data"):
        raise PrunebenchError(f"{use} looks at data: give prune() batches of inputs and targets, such as a DataLoader")
    return use


def _held(data: Iterable[tuple[Tensor, Tensor]]) -> ResidentTensors:
    """The first examples of a loader, on the CPU."""
    import torch

    inputs, targets, held = [], [], 0
    for batch in data:
        if (
            not isinstance(batch, tuple | list)
            or len(batch) != 2
            or not all(isinstance(x, torch.Tensor) for x in batch)
        ):
            raise PrunebenchError("data: its batches must be pairs of tensors, inputs and targets")
        inputs.append(batch[0].detach().cpu())
        targets.append(batch[1].detach().cpu())
        held += len(batch[0])
        if held >= MOST:
            break
    if not held:
        raise PrunebenchError("data: it has no batch")
    return ResidentTensors(torch.cat(inputs)[:MOST], torch.cat(targets)[:MOST])


def _example(model: nn.Module, split: ResidentTensors | None, example: Tensor | None) -> Tensor:
    """A batch of one as the network takes it, on the CPU."""
    import torch

    if example is not None:
        return example[:1].detach().cpu()
    if split is not None:
        return split.inputs[:1]
    first = next((m for m in model.modules() if isinstance(m, torch.nn.Linear | torch.nn.modules.conv._ConvNd)), None)
    if isinstance(first, torch.nn.Linear):
        return torch.zeros(1, first.in_features)
    raise PrunebenchError("prune() needs data or an example: the shape of what the network takes is not known")


def _info(split: ResidentTensors | None, example: Tensor, classes: int) -> DataInfo:
    size = 1 if split is None else split.size
    return DataInfo("given", "", {"train": size}, tuple(example.shape[1:]), classes)
