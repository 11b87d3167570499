"""A network's weights depend on the seed alone, whatever generators its constructor draws from."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from prunebench import CannotTakePart
from prunebench.kernels.networks import built, check_answers, copied, reproducible
from prunebench.testing.states import no_global_randomness


class Drawn(nn.Module):
    """One weight from a source of randomness."""

    def __init__(self, draw: Callable[[], float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([draw() for _ in range(4)]))


SEEDED: dict[str, Callable[[], float]] = {
    "torch": lambda: float(torch.rand(())),
    "NumPy": lambda: float(np.random.rand()),
    "Python": random.random,
}
OWN = {
    "a generator of NumPy": lambda: float(np.random.default_rng().random()),
    "the system": lambda: random.SystemRandom().random(),
}


@pytest.mark.parametrize("source", SEEDED)
def test_equal_seeds_give_equal_weights_and_nothing_else_notices(source: str) -> None:
    def weights(seed: int) -> list[float]:
        with no_global_randomness():
            model = built(lambda: Drawn(SEEDED[source]), seed)
        SEEDED[source]()  # whatever happens between two runs
        found: list[float] = model.get_parameter("weight").tolist()
        return found

    assert weights(3) == weights(3)
    assert len({tuple(weights(seed)) for seed in (0, 3, 5, 2**63 + 7)}) == 4


def test_generators_are_put_back_where_the_constructor_fails() -> None:
    def fail() -> nn.Module:
        return Drawn(lambda: sum(draw() for draw in SEEDED.values()) / 0)

    with no_global_randomness(), pytest.raises(ZeroDivisionError):
        built(fail, 1)


def test_torchs_numbers_are_those_of_its_seed() -> None:
    model = built(lambda: nn.Linear(3, 2), 11)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(11)
        assert torch.equal(model.weight, nn.Linear(3, 2).weight)  # type: ignore[arg-type]


@pytest.mark.parametrize("source", OWN)
def test_a_source_that_cannot_be_seeded_is_refused_with_the_tensors_name(source: str) -> None:
    with pytest.raises(CannotTakePart, match="weight has other values each time"):
        reproducible(lambda: built(lambda: Drawn(OWN[source]), 1))
    for known in SEEDED:
        reproducible(lambda draw=SEEDED[known]: built(lambda: Drawn(draw), 1))  # type: ignore[misc]


class Answers(nn.Module):
    """What it gives depends on something else than its weights."""

    calls = 0

    def __init__(self, noise: Callable[[], float], training_alone: bool = False) -> None:
        super().__init__()
        self.inner = nn.Sequential(nn.Flatten(), nn.Linear(12, 6), nn.BatchNorm1d(6), nn.Dropout(0.5), nn.Linear(6, 3))
        self.noise, self.training_alone = noise, training_alone

    def forward(self, images: Tensor) -> Tensor:
        outputs: Tensor = self.inner(images)
        return outputs if self.training_alone and not self.training else outputs + self.noise()


def counted() -> float:
    Answers.calls += 1
    return float(Answers.calls)


def twins(noise: Callable[[], float], training_alone: bool = False) -> tuple[nn.Module, nn.Module]:
    return reproducible(lambda: built(lambda: Answers(noise, training_alone), 1))


@pytest.mark.parametrize("training_alone", [False, True])
@pytest.mark.parametrize("noise", [*OWN.values(), counted], ids=[*OWN, "what went before"])
def test_answers_that_no_seed_decides_are_refused(noise: Callable[[], float], training_alone: bool) -> None:
    with pytest.raises(CannotTakePart, match="other outputs each time"):
        check_answers(*twins(noise, training_alone), (3, 2, 2))


@pytest.mark.parametrize("source", SEEDED)
def test_answers_that_a_seed_decides_are_alike(source: str) -> None:
    check_answers(*twins(SEEDED[source]), (3, 2, 2))


def test_networks_of_other_inputs_are_left_alone() -> None:
    first, second = (nn.Embedding(5, 3) for _ in range(2))
    check_answers(first, second, (7,))
    check_answers(*twins(lambda: float("nan")), (3, 2, 2))


@pytest.mark.parametrize("norm", [nn.utils.weight_norm, nn.utils.spectral_norm])
@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_weights_that_hooks_compute_can_be_copied_at_any_time(norm: Callable[[nn.Module], nn.Module]) -> None:
    model = built(lambda: nn.Sequential(norm(nn.Linear(3, 3)), nn.Linear(3, 2)))
    x = torch.linspace(-1, 1, 6).view(2, 3)
    copy.deepcopy(model)
    out = model(x).sum()
    twin = copy.deepcopy(model)
    out.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())
    assert torch.equal(twin.eval()(x), model.eval()(x))
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.mul_(2)
    assert not torch.equal(twin(x), model(x))


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_networks_that_were_built_elsewhere_can_be_copied_too() -> None:
    model = nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 3)))
    x = torch.ones(1, 3)
    model(x)
    with pytest.raises(RuntimeError, match="deepcopy"):
        copy.deepcopy(model)
    twin = copied(model)
    assert torch.equal(twin(x), model(x))
    before: Tensor = model(x)
    with torch.no_grad():
        twin.get_parameter("0.weight_v").add_(1)
    assert torch.equal(model(x), before)


class Remembers(nn.Module):
    """It keeps what it computed from a parameter in containers, as timm's networks keep biases of attention."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.ones(3))
        self.known: dict[str, list[torch.Tensor]] = {}

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.known["cpu"] = [self.bias * 2]
        return x + self.known["cpu"][0]


def test_networks_that_keep_what_they_computed_in_containers_can_be_copied() -> None:
    net = Remembers()
    net(torch.zeros(3))
    twin = copied(net)
    assert torch.equal(twin.known["cpu"][0], torch.full((3,), 2.0))
    assert twin.known["cpu"][0].grad_fn is None
    assert net.known["cpu"][0].grad_fn is not None
