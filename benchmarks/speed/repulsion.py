"""A step with the repulsion loss in its closed form against the same step without it, and its memory.

From 1, 5, 10, 20 and 30 earlier optima of a chain with a cut of 0.2, under a random mask of the density that its next
round has. The paper's formula, left to autograd over dense optima, is timed against the same step for comparison. The
memory is that of the optima themselves over optima x density x d numbers; it is looked up in what the term holds.
Layer by layer, and in the metric of activations, a step is timed on LeNet alone. The latter multiplies each layer's
weight with a matrix of its inputs, whatever the number of optima, and is the cheaper the fewer inputs a mask leaves.
Neither has a target.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable

import torch
from interleave import Row, pair_ratios, row, show
from torch import Tensor, nn
from workloads import MEAN, STD, Workload, advancing, our_loop, workloads

from prunebench.api.data import Data, Resident
from prunebench.api.info import DataInfo
from prunebench.api.masks import Mask, Units
from prunebench.api.random import Rng
from prunebench.api.tickets import Optimum
from prunebench.api.training import LossTerm
from prunebench.engine.loop import Training
from prunebench_plugins.losses.repulsion import RepelledActivations, Repulsion, RepulsionConfig
from prunebench_plugins.models.architectures.cifar_resnet import CifarResNet

TARGET, MEMORY = 1.05, 1.1
ROUNDS = (1, 5, 10, 20, 30)
SURVIVE = 0.8


def measure() -> list[Row]:
    """For each network and number of optima: time, what autograd would take (no target), memory."""
    rows = []
    for workload, pairs, steps in ((workloads()[0], 41, 20), (resnet20(), 11, 1)):
        held = []
        for optima in ROUNDS:
            density = SURVIVE**optima
            plain, repelled, naive = (our_loop(workload, "SGD", density) for _ in range(3))
            terms = closed(repelled, optima)
            repelled.terms, naive.terms = terms, autograd(naive, optima)
            check_equal(repelled, naive)
            base = advancing(plain, steps)
            name = f"{workload.name}, {optima} optima"
            slower = pair_ratios(advancing(naive, steps), base, max(5, pairs // 4))
            note = f"of a step without, density {density:.3f}; autograd takes {sorted(slower)[len(slower) // 2]:.2f}x"
            rows.append(
                row(f"repelled step, {name}", pair_ratios(advancing(repelled, steps), base, pairs), TARGET, note)
            )
            held.append(memory(workload.name, optima, plain, terms))
        rows.append(max(held, key=lambda one: float(one["ratio"])))
    return [*rows, *by_layer_or_activations()]


def by_layer_or_activations(pairs: int = 11, steps: int = 10) -> list[Row]:
    """The other two kinds of cosine, on LeNet."""
    workload, rows = workloads()[0], []
    for optima in (1, 5, 10):
        density = SURVIVE**optima
        plain, layer, activations = (our_loop(workload, "SGD", density) for _ in range(3))
        (units, mask), inputs = pruned(layer), {"optima": earlier(layer.model, optima)}
        layer.terms = Repulsion(RepulsionConfig(by="layer")).prunebench_loss_terms(layer.model, units, mask, inputs)
        units, mask = pruned(activations)
        activations.terms = RepelledActivations(RepulsionConfig(by="activations")).prunebench_loss_terms(
            activations.model,
            Data(DataInfo("made", "", {"train": workload.data.size}, (1, 28, 28), 10), {"train": workload.data}),
            activations.task,
            units,
            mask,
            inputs,
            Rng("speed/repulsion"),
        )
        base, name = advancing(plain, steps), f"{workload.name}, {optima} optima"
        for kind, training in (("by layer", layer), ("by activations", activations)):
            note = f"of a step without, density {density:.3f}"
            ratios = pair_ratios(advancing(training, steps), base, pairs)
            rows.append(row(f"repelled step {kind}, {name}", ratios, math.inf, note))
    return rows


def memory(name: str, optima: int, training: Training, terms: list[LossTerm]) -> Row:
    """The bytes of the optima that the term holds, over four times optima x density x d."""
    assert training.mask is not None
    bound = 4 * optima * training.mask.count
    assert terms[0].gradient is not None
    held = inspect.getclosurevars(inspect.unwrap(terms[0].gradient)).nonlocals
    whole = isinstance(held["columns"], list)
    own = sum(table.untyped_storage().nbytes() for table in (held["columns"] if whole else [held["columns"]]))
    every = own
    if not whole:
        every += held["kept"].untyped_storage().nbytes()
        every += sum(place.untyped_storage().nbytes() for _, place, _ in held["written"])
    return {
        "name": f"memory for optima, {name}",
        "ratio": own / bound,
        "target": MEMORY,
        "note": f"of {optima} x density x d numbers; with the present weights and the places {every / bound:.2f}x, "
        f"dense optima would be {training.mask.size / training.mask.count:.1f}x",
    }


def closed(training: Training, optima: int) -> list[LossTerm]:
    """The component's term."""
    units, mask = pruned(training)
    component = Repulsion(RepulsionConfig())
    return component.prunebench_loss_terms(training.model, units, mask, {"optima": earlier(training.model, optima)})


def autograd(training: Training, optima: int) -> list[LossTerm]:
    """The paper's formula, with every optimum whole."""
    units, mask = pruned(training)
    keep = {name: kept.float() for name, kept in units.expand(mask).items()}
    weights = {name: weight for name, weight in training.model.named_parameters() if name in keep}
    past = [torch.cat([(o.weights[n] * keep[n]).flatten() for n in keep]) for o in earlier(training.model, optima)]

    def loss(images: Tensor, logits: Tensor, targets: Tensor) -> Tensor:
        present = torch.cat([(weights[name] * keep[name]).flatten() for name in keep])
        cosines = [present @ other / (present.norm() * other.norm()) for other in past]
        return 2.0 / len(past) * torch.stack(cosines).square().sum()

    return [LossTerm(loss=loss)]


def earlier(model: nn.Module, optima: int) -> list[Optimum]:
    """Made-up optima of the network's shape: what they hold does not change what a step costs."""
    shapes = {name: weight.shape for name, weight in model.named_parameters()}
    found = []
    for place in range(1, optima + 1):
        generator = Rng("speed/repulsion").torch(place)
        weights = {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}
        found.append(Optimum(weights, None, place))
    return found


def pruned(training: Training) -> tuple[Units, Mask]:
    """The units and the mask of a loop that has a mask."""
    assert training.units is not None
    assert training.mask is not None
    return training.units, training.mask


def check_equal(ours: Training, theirs: Training) -> None:
    """Raises AssertionError unless a step with either leaves the same weights, but for rounding."""
    for training in (ours, theirs):
        advancing(training, 1)()
    for (name, a), (_, b) in zip(ours.model.named_parameters(), theirs.model.named_parameters(), strict=True):
        if not torch.allclose(a, b, atol=1e-5):
            raise AssertionError(f"{name}: the closed form and autograd differ")


def resnet20() -> Workload:
    """ResNet-20 on images of CIFAR-10's shape."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (1_280, 3, 32, 32), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, 10, (1_280,), generator=generator)
    network: Callable[[], nn.Module] = CifarResNet
    return Workload("ResNet-20", network, Resident(images, labels, (MEAN,) * 3, (STD,) * 3), 1)


if __name__ == "__main__":
    torch.set_num_threads(1)
    show(measure())
