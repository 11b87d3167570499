import copy
from itertools import pairwise

import numpy as np
import pytest
import torch
from engine.toy_runs import bits
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, fx, nn

from prunebench.api.data import Resident
from prunebench.api.random import Rng
from prunebench.kernels import batch_size
from prunebench.kernels.weight_units import layer_weights
from prunebench_plugins.analyses import _utility, _utility_figures
from prunebench_plugins.analyses._ablation import Ablation
from prunebench_plugins.analyses._rewriting import rewritten
from prunebench_plugins.analyses._subsets import intervals, random_subset, windows
from prunebench_plugins.analyses._utility import Images, Utility
from prunebench_plugins.models.architectures import CifarResNet, ConvNet, LeNet300100, VanillaCnn

RNG = Rng("utility")


def lively(model: nn.Module) -> nn.Module:
    """Norms with statistics, scales and shifts of their own, so that folding has something to do."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(0, 0.2, generator=generator)
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None
                assert module.running_var is not None
                module.running_mean.normal_(generator=generator)
                module.running_var.uniform_(0.5, 2.0, generator=generator)
    return model.eval()


def everything(model: nn.Module) -> dict[str, Tensor]:
    return {name: torch.ones_like(model.get_parameter(name), dtype=torch.bool) for name in layer_weights(model)}


def images(count: int, shape: tuple[int, int, int], classes: int = 10) -> Resident:
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)
    labels = torch.randint(0, classes, (count,), generator=generator)
    return Resident(pixels, labels, (0.5,) * shape[0], (0.25,) * shape[0])


def near(a: Tensor, b: Tensor) -> bool:
    """Whether two networks' outputs differ by rounding alone."""
    return float((a - b).abs().max()) <= 1e-4 * float(b.abs().max())


class Forked(nn.Module):
    """What rewriting must leave alone: a layer that is read twice, one that is used twice, a norm of an input."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(3)
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.twice = nn.Conv2d(4, 4, 1)
        self.after = nn.BatchNorm2d(4)
        self.head = nn.Linear(4, 10)

    def forward(self, x: Tensor) -> Tensor:
        first = self.conv(self.norm(x))
        second = first.relu() + first
        third = self.after(self.twice(self.twice(second)))
        out: Tensor = self.head((third + third).mean((2, 3)))
        return out


class Choosing(nn.Module):
    """A network that looks at its numbers while it runs, and so cannot be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(12, 10)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.head(x.flatten(1) if float(x.sum()) > 0 else -x.flatten(1))
        return out


NETWORKS = [
    pytest.param(CifarResNet, (3, 8, 8), id="ResNet-20"),
    pytest.param(lambda: CifarResNet(shortcut="B", norm_affine=False), (3, 8, 8), id="ResNet-20 with projections"),
    pytest.param(VanillaCnn, (3, 8, 8), id="vanilla CNN"),
    pytest.param(lambda: ConvNet(img_size=8), (3, 8, 8), id="Conv-2"),
    pytest.param(LeNet300100, (1, 28, 28), id="LeNet"),
    pytest.param(Forked, (3, 4, 4), id="forked"),
    pytest.param(Choosing, (3, 2, 2), id="choosing"),
]


@pytest.mark.parametrize(("network", "shape"), NETWORKS)
def test_a_rewritten_network_answers_as_before_also_when_ablated(
    network: type[nn.Module], shape: tuple[int, int, int]
) -> None:
    model = lively(network())
    alive = everything(model)
    x = torch.randn(5, *shape, generator=torch.Generator().manual_seed(2))
    before = copy.deepcopy(model.state_dict())
    fast = rewritten(model, alive, x)
    with torch.no_grad():
        assert near(fast(x), model(x))
        ablation = Ablation(fast, alive)
        chosen = random_subset(RNG, ablation.count, ablation.count // 5, 0)
        with ablation.without(chosen):
            ablated = fast(x)
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        expected = zeroed(model, alive, chosen)(x)
    assert near(ablated, expected)


@pytest.mark.parametrize(
    ("network", "norms"), [(CifarResNet, 0), (lambda: CifarResNet(shortcut="B"), 0), (Forked, 2), (Choosing, 0)]
)
def test_norms_are_folded_only_into_layers_that_nothing_else_reads(network: type[nn.Module], norms: int) -> None:
    model = lively(network())
    shape = (3, 2, 2) if isinstance(model, Choosing) else (3, 8, 8)
    fast = rewritten(model, [], torch.rand(2, *shape))
    assert isinstance(fast, fx.GraphModule) == (not isinstance(model, Choosing))
    nodes = fast.graph.nodes if isinstance(fast, fx.GraphModule) else []
    called = [fast.get_submodule(str(node.target)) for node in nodes if node.op == "call_module"]
    assert sum(isinstance(module, nn.BatchNorm2d) for module in called) == norms


def zeroed(model: nn.Module, alive: dict[str, Tensor], chosen: Tensor) -> nn.Module:
    """A copy without some weights, numbered anew."""
    other = copy.deepcopy(model)
    numbers = set(chosen.tolist())
    place = 0
    for name, keep in alive.items():
        values = other.get_parameter(name).data.view(-1) if keep.ndim == 1 else other.get_parameter(name).data
        for index in keep.nonzero().tolist():
            if place in numbers:
                values[tuple(index)] = 0.0
            place += 1
    return other


def test_after_three_thousand_ablations_every_weight_is_what_it_was_bit_by_bit() -> None:
    model = lively(CifarResNet(width=0.25))
    with torch.no_grad():
        model.get_parameter("conv1.weight").view(-1)[:4] = torch.tensor([-0.0, 1e-45, 3e38, -1e-30])
    fast = rewritten(model, everything(model), torch.rand(2, 3, 8, 8))
    before = {name: bits(value) for name, value in fast.state_dict().items()}
    alive = {name: torch.rand(keep.shape) < 0.7 for name, keep in everything(model).items()}
    ablation = Ablation(fast, alive)
    assert ablation.count == sum(int(keep.sum()) for keep in alive.values())
    for index in range(3000):
        chosen = random_subset(RNG, ablation.count, 1 + index % ablation.count, index)
        with ablation.without(chosen):
            pass
    assert {name: bits(value) for name, value in fast.state_dict().items()} == before


def test_weights_are_restored_when_measuring_fails() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    before = bits(model[0].weight)
    ablation = Ablation(model, everything(model))

    def fail() -> None:
        with ablation.without(torch.arange(4)):
            assert not bool(model[0].weight.any())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert bits(model[0].weight) == before


@given(st.integers(1, 300), st.data())
def test_random_subsets_are_distinct_sorted_and_of_their_size(count: int, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, count))
    chosen = random_subset(RNG, count, size, data.draw(st.integers(0, 9))).tolist()
    assert chosen == sorted(set(chosen))
    assert len(chosen) == size
    assert 0 <= chosen[0] <= chosen[-1] < count


def test_every_weight_is_drawn_about_equally_often_and_other_numbers_give_other_sets() -> None:
    hits = torch.zeros(50)
    for index in range(2000):
        hits[random_subset(RNG, 50, 10, index)] += 1
    # Five standard deviations of a binomial of 2,000 with 1/5.
    assert bool(((hits - 400).abs() < 5 * (2000 * 0.2 * 0.8) ** 0.5).all())
    sets = {tuple(random_subset(Rng(name), 50, 10, index).tolist()) for name in "ab" for index in range(20)}
    assert len(sets) == 40
    assert torch.equal(random_subset(RNG, 50, 10, 3), random_subset(Rng(RNG.name), 50, 10, 3))


@given(st.integers(1, 400), st.floats(0.01, 1.0), st.data())
def test_windows_cover_the_whole_range_in_order(count: int, slide: float, data: st.DataObject) -> None:
    size = data.draw(st.integers(1, count))
    starts = windows(count, size, slide)
    assert starts == sorted(set(starts))
    assert (starts[0], starts[-1] + size) == (0, count)
    assert all(b - a <= size for a, b in pairwise(starts))


@given(st.integers(1, 40), st.integers(1, 20))
def test_windows_of_a_size_that_divides_the_range_tile_it(size: int, number: int) -> None:
    covered = [place for start in windows(size * number, size, 1.0) for place in range(start, start + size)]
    assert covered == list(range(size * number))


def test_intervals_go_from_the_smallest_magnitudes_to_the_largest_and_ties_to_the_lower_index() -> None:
    magnitudes = torch.tensor([3.0, 1.0, 2.0, 1.0, 5.0, 4.0])
    found = [(start, chosen.tolist()) for start, chosen in intervals(magnitudes, 2, 1.0)]
    assert found == [(0, [1, 3]), (2, [2, 0]), (4, [5, 4])]
    assert [start for start, _ in intervals(magnitudes, 2, 0.5)] == [0, 1, 2, 3, 4]


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(1, keepdims=True))
    result: np.ndarray = powers / powers.sum(1, keepdims=True)
    return result


def test_utility_is_the_mean_divergence_of_the_softmax_outputs() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 3)).eval()
    lively(model)
    data = images(50, (1, 2, 2), 3)
    alive = everything(model)
    alive["1.weight"][0] = False
    utility = Utility(model, alive, Images(data, None))
    chosen = torch.tensor([0, 3, 5, 9, 12])
    found, accuracy = utility.of(chosen)
    ((x, labels),) = data.batches([_utility._gather(torch.arange(50))])
    with torch.no_grad():
        p = softmax(model(x).double().numpy())
        q = softmax(zeroed(model, alive, chosen)(x).double().numpy())
    assert found == pytest.approx(float((p * np.log(p / q)).sum(1).mean()), rel=1e-5)
    assert found > 0
    assert accuracy == float((q.argmax(1) == labels.numpy()).mean())
    assert utility.accuracy == float((p.argmax(1) == labels.numpy()).mean())
    assert utility.of(torch.arange(0))[0] == 0.0


@pytest.mark.parametrize("largest", [1, 2**19])
def test_the_number_of_images_at_a_time_changes_nothing_but_rounding(
    monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    monkeypatch.setattr(batch_size, "LARGEST", {"cpu": largest})
    # Both readings: images that are kept, and images that are read anew.
    monkeypatch.setattr(_utility, "KEPT_BYTES", largest)
    model = lively(VanillaCnn(width=0.25))
    utility = Utility(model, everything(model), Images(images(70, (3, 8, 8)), 67))
    found, _ = utility.of(random_subset(RNG, utility.count, 400, 0))
    monkeypatch.undo()
    again = Utility(model, everything(model), Images(images(70, (3, 8, 8)), 67))
    assert found == pytest.approx(again.of(random_subset(RNG, utility.count, 400, 0))[0], rel=1e-5)


def test_some_images_are_evenly_spaced_and_never_augmented() -> None:
    data = images(10, (1, 2, 2))
    few = Images(data, 4)
    labels = torch.cat([labels for _, labels in few.batches()])
    assert few.count == 4
    assert torch.equal(labels, data.labels[[0, 2, 5, 7]])


def test_the_deviation_is_of_the_sets_themselves_and_infinite_utilities_are_left_out() -> None:
    sample = _utility.Sample([1.0, 2.0, 6.0], [0.5, 0.25, 0.75])
    assert sample.statistics() == pytest.approx(
        {
            "mean": 3.0,
            "sd": (14 / 3) ** 0.5,
            "minimum": 1.0,
            "maximum": 6.0,
            "accuracy_mean": 0.5,
            "accuracy_minimum": 0.25,
            "accuracy_maximum": 0.75,
        }
    )
    assert sample.standard_error == pytest.approx((7 / 3) ** 0.5)
    broken = _utility.Sample([1.0, float("inf")], [0.5, 0.1])
    assert {"mean", "sd", "maximum"}.isdisjoint(broken.statistics())
    # So a tolerance is never reached, instead of an error.
    assert broken.standard_error == float("inf")


def test_a_tolerance_stops_once_the_mean_is_that_sure() -> None:
    model = lively(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)))
    utility = Utility(model, everything(model), Images(images(20, (1, 2, 2), 3), None))

    def subsets() -> list[Tensor]:
        return [random_subset(RNG, 12, 3, index) for index in range(200)]

    whole = utility.sample(subsets(), None)
    stopped = utility.sample(subsets(), whole.standard_error * 2)
    assert _utility.LEAST <= len(stopped.utilities) < 200
    assert stopped.standard_error < whole.standard_error * 2
    assert stopped.utilities == whole.utilities[: len(stopped.utilities)]
    assert len(utility.sample(subsets(), 1e9).utilities) == _utility.LEAST


@pytest.mark.parametrize("count", [3, 6, 60])
def test_bars_of_equal_accuracies_have_no_length(count: int) -> None:
    for thousandths in (3, 6, 7):
        sample = _utility.Sample([0.5] * count, [thousandths / 1_000] * count)
        place = _utility.Measured("", 1, "8it", 0.1, {0.05: sample, 0.1: sample}, {})
        assert "<svg" in _utility_figures.by_ratio([place], "ratio", "Measured on all.").svg
