"""The only extension surface: every hook, when it is called, and what it must return.

A hook is called at a phase boundary, never inside the training step; what it returns is a plain callable
that the step inlines. An implementation may leave out the arguments that it does not need.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pluggy

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from prunebench.api.board import Board
    from prunebench.api.component import Component
    from prunebench.api.data import Data
    from prunebench.api.downloads import Download
    from prunebench.api.events import Event
    from prunebench.api.info import DataInfo, Layer
    from prunebench.api.masks import Mask, Scores, Units
    from prunebench.api.measurements import Analysis
    from prunebench.api.planning import Chain, Needs, PlannedTicket, Recipes, Request
    from prunebench.api.pretrained import Pretrained
    from prunebench.api.random import Rng
    from prunebench.api.results import Results
    from prunebench.api.task import Metrics, Task
    from prunebench.api.tickets import Inputs, Pruned, State, Ticket
    from prunebench.api.training import BatchTransform, LossTerm, MaskUpdate

hookspec = pluggy.HookspecMarker("prunebench")

SLOTS: dict[str, str] = {
    "data": "prunebench_data",
    "task": "prunebench_task",
    "model": "prunebench_model",
    "init": "prunebench_initialise",
    "units": "prunebench_units",
    "optimizer": "prunebench_optimizer",
    "lr": "prunebench_lr",
    "schedule": "prunebench_schedule",
    "loss": "prunebench_loss_terms",
    "mask_updates": "prunebench_mask_updates",
    "transforms": "prunebench_transforms",
    "score": "prunebench_score",
    "select": "prunebench_select",
    "prune": "prunebench_prune",
    "ticket": "prunebench_ticket",
    "analyse": "prunebench_analyse",
    "report": "prunebench_report",
    "track": "prunebench_track",
}
"""The places in a benchmark file where a component may be named, and the hook that it must then implement."""


@hookspec
def prunebench_components() -> Iterable[Component]:
    """Offer components to benchmark files.

    When: once, by the catalogue, on every installed plugin. Installed is not active.
    Returns: typed descriptors; two components of one name are an error that names both distributions.
    Must not: import torch, read a file, or touch the network.
    Example:
        >>> from prunebench import Component, ComponentConfig, hookimpl
        >>> class Ones:
        ...     def __init__(self, config): ...
        >>> @hookimpl
        ... def prunebench_components():
        ...     yield Component("ones", ComponentConfig, Ones, version=1, paper="an example")
        >>> [component.name for component in prunebench_components()]
        ['ones']
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_data(root: Path, rng: Rng) -> Data:
    """Give the splits of a data set.

    When: once while planning, for its sizes and digest, and in a worker when a phase reads data that it does not hold.
    Args:
        root: the data root; nothing outside it and the plugin's own files may be read.
        rng: the trial's `split` stream, for splits that are to differ between seeds.
    Returns: Data whose `info.digest` changes whenever an input or a target does, with the splits "train", "valid"
        and "test"; "valid" is held out of train, never of test, and absent where nothing is held out. Where seeds
        differ in the split alone, `Data.again` divides what was read for another one: a worker then reads it once.
    Raises: DataMissing, saying what to put where.
    Must not: download.
    Example:
        >>> from prunebench.testing import ToyData
        >>> data = ToyData().prunebench_data()
        >>> sorted(data.info.sizes)
        ['test', 'train', 'valid']
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_downloads(root: Path) -> Sequence[Download]:
    """Name the publisher's files of a data set.

    When: `prunebench data list` and `prunebench data fetch NAME`.
    Args:
        root: the data root below which the files go.
    Returns: files with mirrors in order of preference and the published checksum of each.
    Must not: download; the core does, and checks the checksum.
    Example:
        >>> from pathlib import Path
        >>> from prunebench.api.downloads import Download
        >>> class Digits:
        ...     def prunebench_downloads(self, root):
        ...         return [Download(("https://example.org/digits.gz",), "md5:0123", root / "digits.gz")]
        >>> Digits().prunebench_downloads(Path("root"))[0].path.name
        'digits.gz'
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_metrics() -> Metrics:
    """Name what a task measures.

    When: while planning, for the component that a file names as its task. Asked without torch.
    Returns: for each metric its unit, which way is better and the ends of its range; the first is the primary one, by
        which a leaderboard ranks. "loss", the mean of the objective, is among them and better when lower: early
        stopping goes by it on "valid".
    Must not: import torch, or depend on anything but its configuration. A field of the configuration that changes
        what is measured and nothing that is trained belongs in `ComponentConfig.measured`: it is in the keys of curves,
        and not in those of runs.
    Example:
        >>> from prunebench.api.task import MetricInfo
        >>> class Regression:
        ...     def prunebench_metrics(self):
        ...         return {"loss": MetricInfo(unit="squared error", higher=False, low=0)}
        >>> Regression().prunebench_metrics()["loss"].higher
        False
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_task(label_smoothing: float) -> Task:
    """Say what networks are trained for, how a batch becomes their input, and how they are measured.

    When: at the start of every phase that trains, measures, counts multiply-accumulates or asks a component that wants
        the task.
    Args:
        label_smoothing: the recipe's, 0 <= label_smoothing < 1, for the objective alone; 0 outside of training. A file
            that states it for a task whose implementation leaves the argument out is refused.
    Returns: a Task of plain callables. The mean of the objective over a split, without label smoothing, is the metric
        "loss"; `values` has a number for each name of `prunebench_metrics`.
    Must not: synchronise with the device in `batch`, `objective` or `contribution`; use any randomness.
    Example:
        >>> import torch
        >>> from prunebench.api.task import Contribution, Task
        >>> class Regression:
        ...     def prunebench_task(self):
        ...         square = lambda outputs, targets: (outputs - targets).square().sum(1)
        ...         return Task(
        ...             objective=lambda outputs, targets: square(outputs, targets).mean(),
        ...             contribution=lambda outputs, targets: Contribution(
        ...                 {"square": square(outputs, targets).sum(), "examples": len(outputs)}
        ...             ),
        ...             values=lambda totals: {"loss": totals["square"] / totals["examples"]},
        ...             example=lambda info: torch.zeros(1, *info.shape),
        ...         )
        >>> float(Regression().prunebench_task().objective(torch.ones(4, 2), torch.zeros(4, 2)))
        2.0
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_model(data_info: DataInfo) -> nn.Module:
    """Build the network.

    When: in every phase that needs it, and once while planning under the meta device.
    Args:
        data_info: shape of an input and number of classes of the data: of images (channels, height, width).
    Returns: an nn.Module that maps a batch of the task's inputs, such as (batch, *shape) float32, to one tensor that
        the task's objective takes, such as (batch, classes) logits.
    Raises: PlanError where it cannot take such data.
    Must not: load weights from a network, or depend on anything but its configuration and `data_info`.
    Example:
        >>> from torch import nn
        >>> class Linear:
        ...     def prunebench_model(self, data_info):
        ...         channels, height, width = data_info.shape
        ...         return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * width, data_info.classes))
        >>> from prunebench.testing import ToyData
        >>> Linear().prunebench_model(ToyData().prunebench_data().info)[1].out_features
        3
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_pretrained(asked: bool, revision: str | None) -> Pretrained | None:
    """Say which weights were published with the network, how images are prepared for it, and how to fetch them.

    When: while planning, and by `prunebench weights fetch`.
    Args:
        asked: whether the file says `pretrained = true`; without it a name that stands for the network alone has none.
        revision: of what was published; the newest if None.
    Returns: Pretrained; None where none are asked for, or none were published. Its `fetch` puts `file` below the data
        root, whole and as plain tensors, and says where it came from.
    Raises: PlanError where the name stands for weights that nobody published.
    Must not: download, except in `fetch`.
    Example:
        >>> from prunebench.api.pretrained import Preprocessing, Pretrained
        >>> class Published:
        ...     def prunebench_pretrained(self, asked):
        ...         seen = Preprocessing(224, 256, "center", (0.5,) * 3, (0.5,) * 3, "bicubic")
        ...         file = "weights/net.safetensors"
        ...         return Pretrained("net", file, "net.safetensors", 2, ("cat", "dog"), seen, lambda root: "by hand")
        >>> Published().prunebench_pretrained(asked=True).classes
        ('cat', 'dog')
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_initialise(model: nn.Module, rng: Rng) -> nn.Module:
    """Draw fresh weights.

    When: in the `init` phase, and where a ticket edit asks for fresh weights.
    Args:
        model: the network as its constructor left it, on the CPU.
        rng: the stream to draw from: `init` for a trial's first weights, `ticket` for a reinit.
    Returns: the same module, its weights changed in place.
    Must not: use the global random generators.
    Source: Frankle & Carbin 2019, appendix G.5 (the spread of the initialisation as a hyper-parameter).
    Example:
        >>> import torch
        >>> from prunebench.api.random import Streams
        >>> class Normal:
        ...     def prunebench_initialise(self, model, rng):
        ...         torch.nn.init.normal_(model.weight, std=0.1, generator=rng.torch())
        ...         return model
        >>> draw = lambda: Normal().prunebench_initialise(torch.nn.Linear(4, 2), Streams(0).rng("init")).weight
        >>> torch.equal(draw(), draw())
        True
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_units(model: nn.Module, data_info: DataInfo, example: Tensor) -> Units:
    """Say what is kept or removed as one.

    When: in every phase with a mask, and once while planning under the meta device.
    Args:
        model: the network.
        data_info: shape of an input and number of classes.
        example: the task's batch of one, on the CPU, for units that follow an input through the network.
    Returns: Units; one per weight of the prunable layers unless a file names another component.
    Raises: PlanError where a pattern matches no layer.
    Must not: read the values of the weights; the model may be on the meta device.
    Example:
        >>> from prunebench.testing import two_layer_net, weight_units
        >>> [layer.count for layer in weight_units(two_layer_net()).layers]
        [48, 18]
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_optimizer(model: nn.Module) -> torch.optim.Optimizer:
    """Build the optimizer of a run.

    When: at the start of a run, after the weights are loaded and moved to the device.
    Returns: a torch Optimizer; the learning rate of each group at that time is the base that `prunebench_lr` scales.
    Must not: keep state outside the optimizer: what its `state_dict` lacks is lost on resume.
    Example:
        >>> import torch
        >>> class Plain:
        ...     def prunebench_optimizer(self, model):
        ...         return torch.optim.SGD(model.parameters(), lr=0.1)
        >>> Plain().prunebench_optimizer(torch.nn.Linear(2, 2)).param_groups[0]["lr"]
        0.1
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_lr(position: int, horizon: int) -> float:
    """Scale the learning rate at one iteration.

    When: before a run, for every iteration of its window; clamped to the horizon, so never past it.
    Args:
        position: iterations done on the learning-rate clock, 0 <= position <= horizon.
        horizon: the clock's end, in iterations.
    Returns: a finite multiplier >= 0. One base gives it; any number of wrappers (`@hookimpl(wrapper=True)`)
        change it, the later in the file the further out.
    Source: Goyal et al. 2017, section 2.2 (warm-up as a wrapper around any base).
    Example:
        >>> class Linear:
        ...     def prunebench_lr(self, position, horizon):
        ...         return 1 - position / horizon
        >>> Linear().prunebench_lr(250, 1000)
        0.75
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_clock(position: int, horizon: int) -> tuple[int, int]:
    """Map the learning-rate clock for the pieces above this one in the list.

    When: before a run, for every iteration of its window, by a piece of `lr` that also wraps `prunebench_lr`.
    Args:
        position, horizon: as in `prunebench_lr`.
    Returns: the position and the horizon that the pieces above are told, 0 <= position <= horizon.
    Source: Renda et al. 2020, section 2 (schedules that start over).
    Example:
        >>> class Twice:
        ...     def prunebench_clock(self, position, horizon):
        ...         return position % (horizon // 2), horizon // 2
        >>> Twice().prunebench_clock(700, 1000)
        (200, 500)
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_schedule(chain: Chain, recipes: Recipes) -> Sequence[PlannedTicket]:
    """Lay out the retraining schedule: which runs and prunings lead to each round's ticket.

    When: while planning; nothing trains. The plan is pure: equal configurations give equal plans.
    Args:
        chain: `chain.dense` is the ticket of round 0; `chain.find`, `chain.prune` and `chain.counts` build on it.
        recipes: `recipes.find` and `recipes.evaluate`, resolved.
    Returns: the tickets of rounds 0 to `chain.rounds`, the one of round 0 being `chain.dense`.
    Raises: PlanError where the configuration has no meaning, such as a rewind past the horizon.
    Must not: import torch or draw a random number.
    Source: Renda et al. 2020, section 2 (the plane of weight source and clock).
    Example:
        >>> class Rewind:
        ...     def prunebench_schedule(self, chain, recipes):
        ...         tickets = [chain.dense]
        ...         for round in range(1, chain.rounds + 1):
        ...             run = chain.find(tickets[-1], round)
        ...             tickets.append(chain.ticket(round, chain.prune(run, round), chain.dense.weights))
        ...         return tickets
        >>> from prunebench.testing import toy_chain
        >>> [ticket.count for ticket in Rewind().prunebench_schedule(*toy_chain(rounds=2))]
        [66, 53, 42]
    """
    raise AssertionError


@hookspec
def prunebench_needs(request: Request) -> Needs | Sequence[Needs] | None:
    """Ask for what a component reads beyond the phase's own parents.

    When: while planning, for each component that takes part in a phase. Not recursive.
    Args:
        request: the phase's kind, round and ticket; earlier optima; the trial's chain and other entries' chains.
    Returns: None for nothing; Needs with references to states by name, which arrive as `inputs`;
        `Needs(active=False)` to take no part (and be absent from the key); an analysis may return several
        Needs, one keyed phase each.
    Raises: PlanError where what it needs cannot exist.
    Must not: import torch or draw a random number.
    Example:
        >>> from prunebench.plan.chain import Needs
        >>> class Repel:
        ...     def prunebench_needs(self, request):
        ...         return Needs({"optima": request.optima}, active=bool(request.optima))
        >>> from prunebench.testing import toy_request
        >>> Repel().prunebench_needs(toy_request(round=1)).active
        False
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_count(cut: float | None, round: int, layers: Sequence[Layer], count: int) -> int:
    """Say how many units a selection leaves after a round.

    When: while planning, once a round, for the selection component (or that of `prune`); without it the count is that
        of a global cut, round((1 - cut) ** round * units). Where a file gives densities alone, only a component that
        asks for `count` decides: for others the count is round(density * units).
    Args:
        cut: the share of survivors that a round removes, 0 < cut < 1; None where a file gives densities alone, for a
            component that asks for `count`.
        round: 1 for the first pruning.
        layers: the prunable layers with their numbers of units, and the shapes of their weights.
        count: what a global cut, or the stated density, would leave.
    Returns: the exact count, 0 < count <= units.
    Raises: PlanError where no such number can be left, such as one that a pattern does not have.
    Source: Frankle & Carbin 2019, section 2 (the output layer is cut at half the rate).
    Example:
        >>> from prunebench.api.info import Layer
        >>> class Halves:
        ...     def prunebench_count(self, round, layers):
        ...         return sum(round_half(layer.count, round) for layer in layers)
        >>> round_half = lambda count, times: max(1, count // 2**times)
        >>> Halves().prunebench_count(round=2, layers=[Layer("a", 0, 100), Layer("b", 100, 10)])
        27
    """
    raise AssertionError


@hookspec
def prunebench_loss_terms(
    model: nn.Module, data: Data, task: Task, units: Units, mask: Mask | None, inputs: Inputs, rng: Rng
) -> Sequence[LossTerm]:
    """Add to the objective.

    When: at the start of a run, and again where it is resumed, with the model on its device and masked. A component
        that does not ask for `data` is also tried while planning, where it asks for no states.
    Args:
        model: the network; its parameters are updated in place, so references to them stay valid.
        data: the trial's splits; only "train" may be used.
        task: what makes a network's input of a batch, and the objective, without label smoothing.
        units, mask: what is kept; mask is None in a dense run.
        inputs: what `prunebench_needs` asked for.
        rng: the `loss` stream of the run, under this component's name.
    Returns: terms that the step inlines: a callable (inputs, outputs, targets) -> scalar, of what the task made of the
        batch and what the network gave, or a closed-form gradient.
    Must not: change the weights; synchronise with the device inside a term; use any randomness but `rng`.
    Example:
        >>> import torch
        >>> from prunebench.api.training import LossTerm
        >>> class L1:
        ...     def prunebench_loss_terms(self, model):
        ...         return [LossTerm(loss=lambda x, outputs, y: model.weight.abs().sum())]
        >>> term = L1().prunebench_loss_terms(torch.nn.Linear(2, 2))[0]
        >>> term.loss(None, None, None).ndim
        0
    """
    raise AssertionError


@hookspec
def prunebench_mask_updates(
    model: nn.Module, units: Units, mask: Mask, count: int, horizon: int, rng: Rng
) -> Sequence[MaskUpdate]:
    """Change the mask while training.

    When: at the start of a run. The update itself is called in the steps for which it is due, between backward
        and masking, so that it sees unmasked gradients. The engine zeroes removed and regrown weights and their
        optimizer state.
    Args:
        mask: the mask that the run starts from (all kept in a dense run).
        count: units that must be kept at the horizon.
        horizon: the clock's end, in iterations.
        rng: the trial's `update` stream; use the step as a counter.
    Returns: updates, applied in order.
    Raises: ContractError, from the engine, if the mask at the horizon has not exactly `count` units.
    Must not: keep state between calls anywhere but in `MaskUpdate.state`: a resumed run would not have it.
    Source: Evci et al. 2020, algorithm 1.
    Example:
        >>> from prunebench.api.training import MaskUpdate
        >>> class Never:
        ...     def prunebench_mask_updates(self, mask):
        ...         return [MaskUpdate(due=lambda step: False, update=lambda step, mask, gradients: mask)]
        >>> Never().prunebench_mask_updates(mask=None)[0].due(100)
        False
    """
    raise AssertionError


@hookspec
def prunebench_transforms(data_info: DataInfo, batch: int, horizon: int, rng: Rng) -> Sequence[BatchTransform]:
    """Change each batch before the network sees it: mix its examples, erase parts of them.

    When: at the start of a run. A transform is called in every step, with what the task made of the batch.
    Args:
        data_info: shape of an input and number of classes.
        batch: examples in a batch.
        horizon: the clock's end, in iterations.
        rng: the trial's `augment` stream, under this component's name; use the step as a counter.
    Returns: transforms, applied in order: (step, inputs, targets) -> both. The number of examples stays. Targets may
        become what the task's objective takes in their place, such as a share for each class.
    Raises: ContractError where the data or the batch cannot be changed so.
    Must not: use any randomness but `rng`, or keep state between calls.
    Source: Zhang et al. 2018 (mixup).
    Example:
        >>> import torch
        >>> class Faint:
        ...     def prunebench_transforms(self, batch):
        ...         return [lambda step, inputs, targets: (inputs / 2, targets)]
        >>> (transform,) = Faint().prunebench_transforms(8)
        >>> float(transform(0, torch.ones(8, 3), None)[0][0, 0])
        0.5
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_score(
    model: nn.Module, data: Data, task: Task, units: Units, mask: Mask | None, inputs: Inputs, rng: Rng
) -> Scores:
    """Say how much each unit is worth.

    When: once a pruning, on the state that is pruned, in evaluation mode, on the phase's device.
    Args:
        model: the network with its masked weights.
        data: the trial's splits; only "train" may be used.
        task: what makes a network's input of a batch, and the objective, without label smoothing.
        mask: the units alive before this pruning; None if all are.
    Returns: Scores, one float per unit (dead ones too), none NaN; higher survives.
    Raises: ContractError, naming the component, on a wrong length or a NaN (with the layer's name).
    Must not: change the weights, or use any randomness but `rng`.
    Source: Han et al. 2015, section 3 (magnitude).
    Example:
        >>> class Magnitude:
        ...     def prunebench_score(self, units):
        ...         return units.reduce(lambda name, weight: weight.abs())
        >>> from prunebench.testing import two_layer_net, weight_units
        >>> Magnitude().prunebench_score(weight_units(two_layer_net())).count
        66
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_select(
    scores: Scores, units: Units, mask: Mask, count: int, cut: float | None, round: int, inputs: Inputs, rng: Rng
) -> Mask:
    """Choose which units survive a round.

    When: once a pruning, after `prunebench_score`, on the scores' device. Where a file asks for a share of a cost,
        several times, with other counts, until that share is met.
    Args:
        scores: finite or infinite floats, never NaN, one per unit; higher survives.
        mask: the units alive before this round.
        count: units that must live after it; 0 < count <= mask.count.
        cut, round: the chain's cut and the round that `count` belongs to; cut is None where one cut makes the whole
            way (`one-shot`), or a file gives densities alone.
    Returns: a Mask, a subset of `mask`, with exactly `count` units. Ties fall to the lower unit index.
    Raises: ContractError, naming the component, if the mask revives a unit or misses the count.
    Must not: change `scores`, `mask` or the model; use any randomness but `rng`.
    Source: Frankle & Carbin 2019, section 4 (global selection).
    Example:
        >>> from prunebench.api.masks import Mask
        >>> from prunebench.kernels.selection import keep_highest
        >>> class Global:
        ...     def prunebench_select(self, scores, mask, count):
        ...         return Mask(keep_highest(scores.values, mask.keep, count))
        >>> from prunebench.testing import two_layer_net, weight_units
        >>> units = weight_units(two_layer_net())
        >>> scores = units.reduce(lambda name, weight: weight.abs())
        >>> Global().prunebench_select(scores, Mask.full(units.layers), 20).count
        20
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_prune(
    model: nn.Module,
    data: Data,
    task: Task,
    units: Units,
    mask: Mask,
    count: int,
    cut: float | None,
    round: int,
    inputs: Inputs,
    rng: Rng,
) -> Pruned:
    """Choose which units survive a round, and update the weights with them.

    When: once a pruning, in place of `prunebench_score` and `prunebench_select`, on the state that is pruned, in
        evaluation mode, on the phase's device. Schedules that carry weights on take the updated ones.
    Args:
        model: the network with its masked weights; the component's own, which it may change.
        data: the trial's splits; only "train" may be used. It is in the key where the component asks for it.
        task: what the network learns: `task.batch` makes of a split's batch what it takes.
        mask: the units alive before this round; all of them in the first.
        count: units that must live after it; 0 < count <= mask.count.
        cut, round: the chain's cut and the round that `count` belongs to; cut is None where a file gives densities
            alone, and where one cut makes the whole way.
    Returns: Pruned: a Mask, a subset of `mask`, with exactly `count` units, and the tensors that changed, by name:
        parameters that the units touch, and those that `prunebench_needs` declared as `updates`. They keep shape and
        type, are finite, and exactly 0 off the mask.
    Raises: ContractError, naming the component, if any of this does not hold.
    Must not: write into the data, or use any randomness but `rng`.
    Source: Hassibi & Stork 1993 (surviving weights make up for what is removed).
    Example:
        >>> from prunebench.api.masks import Mask
        >>> from prunebench.api.tickets import Pruned
        >>> from prunebench.kernels.selection import keep_highest
        >>> class Doubled:
        ...     def prunebench_prune(self, model, units, mask, count):
        ...         scores = units.reduce(lambda name, weight: weight.abs())
        ...         mask = Mask(keep_highest(scores.values, mask.keep, count))
        ...         keep = units.expand(mask)
        ...         weights = {name: 2 * model.get_parameter(name).detach() * kept for name, kept in keep.items()}
        ...         return Pruned(mask, weights)
        >>> from prunebench.testing import two_layer_net, weight_units
        >>> net = two_layer_net()
        >>> units = weight_units(net)
        >>> pruned = Doubled().prunebench_prune(net, units, Mask.full(units.layers), 20)
        >>> pruned.mask.count, sorted(pruned.weights)
        (20, ['fc1.weight', 'fc2.weight'])
    """
    raise AssertionError


@hookspec(firstresult=True)
def prunebench_ticket(
    ticket: Ticket,
    model: nn.Module,
    data: Data,
    task: Task,
    units: Units,
    fresh: Callable[[Rng], State],
    inputs: Inputs,
    rng: Rng,
) -> Ticket:
    """Edit a ticket before it is judged.

    When: once a ticket and draw; edits of one entry are applied in the order of the file.
    Args:
        ticket: mask, weights (a state dict on the CPU), position on the clock.
        model: the network with the ticket's weights, those that its mask removes included, in evaluation mode.
        data: the trial's splits; only "train" may be used. It is in the key where the edit asks for it.
        task: what the network learns: `task.batch` makes of a split's batch what it takes.
        fresh: draws fresh initial weights of this model from a stream.
        rng: the `ticket` stream of this trial, round and draw, under this component's name.
    Returns: the edited Ticket, with as many units as before.
    Raises: ContractError, naming the component, if the number of units or a weight's shape changes.
    Must not: change the tensors that it was given.
    Source: Frankle & Carbin 2019, sections 2 and appendix E (reinitialised and shuffled tickets).
    Example:
        >>> from dataclasses import replace
        >>> class Reinit:
        ...     def prunebench_ticket(self, ticket, fresh, rng):
        ...         return replace(ticket, weights=fresh(rng))
        >>> from prunebench.api.tickets import Ticket
        >>> from prunebench import Position
        >>> Reinit().prunebench_ticket(Ticket({}, None, Position.parse("0it")), lambda rng: {"w": 1}, None).weights
        {'w': 1}
    """
    raise AssertionError


@hookspec
def prunebench_analyse(inputs: Inputs, model: nn.Module, data: Data, task: Task, units: Units, rng: Rng) -> Analysis:
    """Measure what pruning did.

    When: in a keyed phase of its own, after the states that `prunebench_needs` asked for exist.
    Args:
        inputs: those states, by name, each with its mask and round.
        model: the network, to load states into; its own weights mean nothing.
        task: what makes a network's input of a batch, the objective without label smoothing, and what is measured.
    Returns: measurements (each placed by round, position and split) and figures.
    Must not: train; a missing state belongs into `prunebench_needs`.
    Example:
        >>> from prunebench.api.measurements import Analysis, Measurement
        >>> class Tickets:
        ...     def prunebench_analyse(self, inputs):
        ...         return Analysis((Measurement("tickets", float(len(inputs["tickets"]))),))
        >>> Tickets().prunebench_analyse({"tickets": ()}).measurements[0].value
        0.0
    """
    raise AssertionError


@hookspec
def prunebench_report(results: Results, board: Board, folder: Path) -> None:
    """Write something of one's own beside the leaderboard, or publish it.

    When: after a run or `prunebench report`, once the built-in tables are written.
    Args:
        results: rows, curves, layers and figures of every trial, and the provenance; a copy.
        board: everything that the leaderboard shows: cells, intervals, ranks and differences on the file's axis, for
            its metric; `board.of(METRIC)` has them for another. What is written beside a leaderboard takes these
            numbers from here. `prunebench.api.report` prints them, `prunebench.stats` makes more.
        folder: the leaderboard's folder.
    Raises: whatever it likes; the leaderboard stays, and the error is named with the component.
    Must not: change the files that are already there, leave links, or write anywhere but below the folder.
    Example:
        >>> import tempfile; from pathlib import Path
        >>> from prunebench.testing import toy_board
        >>> class Best:
        ...     def prunebench_report(self, board, folder):
        ...         (folder / "best.txt").write_text(" ".join(group.order[0] for group in board.groups))
        >>> folder = Path(tempfile.mkdtemp())
        >>> Best().prunebench_report(toy_board(), folder); (folder / "best.txt").read_text()
        'imp'
    """
    raise AssertionError


@hookspec
def prunebench_track(event: Event, folder: Path) -> None:
    """Observe a run.

    When: in the process that started the run, as events arrive: "run-started", "phase-started", "progress",
        "phase-done", "phase-failed", "phase-waiting" (another process has it), "phase-restarted" (its worker died),
        "artifact-lost" (it is made again), "run-stopping", "row" (once a row of the results), "run-finished". A
        "progress" event has the task's primary metric as it was measured last, if it was: "metric", its "unit" and
        its "value". "run-started" names the "benchmark" and its "trials"; an event of a phase has the places in that
        list of the trials that it serves. "measured" has new "points" of a training curve and the "runs" (trial, round,
        draw) that it belongs to; "ticket" has the "rows" of a ticket as soon as it is judged. Of a run that was stopped
        and is taken up again, both are told anew from the store, right after "run-started".
    Args:
        event: its kind, and fields that are plain JSON values; a copy.
        folder: of the trackers, below the leaderboard's; it is not published.
    Raises: whatever it likes; the run goes on without it, and the error is named with the component.
    Must not: write anywhere but below the folder, or wait for a connection.
    Example:
        >>> from prunebench.api.events import Event
        >>> seen = []
        >>> class Remember:
        ...     def prunebench_track(self, event):
        ...         seen.append(event.kind)
        >>> Remember().prunebench_track(Event("run-started")); seen
        ['run-started']
    """
    raise AssertionError
