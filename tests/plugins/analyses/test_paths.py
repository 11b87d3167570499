from collections.abc import Sequence

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from prunebench.api.data import Data, Resident
from prunebench.api.info import DataInfo
from prunebench.testing import ToyData, no_global_randomness, same, state, task_of, two_layer_net
from prunebench_plugins.analyses import _paths
from prunebench_plugins.analyses._paths import PathConfig, Walk

CLASSES = task_of({"use": "classification"})


def normalised_net() -> nn.Sequential:
    torch.manual_seed(1)
    return nn.Sequential(
        nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.ReLU(), nn.Dropout(0.5), nn.Flatten(), nn.Linear(9, 3)
    )


def toy() -> Data:
    return ToyData().prunebench_data()


def images(data: Data, split: str) -> tuple[Tensor, Tensor]:
    resident = data[split]
    assert isinstance(resident, Resident)
    return (resident.images.float() / 255 - 0.42) / 0.3, resident.labels


@given(st.lists(st.floats(-1e6, 1e6, width=32), min_size=1, max_size=9), st.floats(0, 1))
def test_a_path_is_a_straight_line_from_end_to_end_to_the_bit(values: list[float], alpha: float) -> None:
    first = {"w": torch.tensor(values), "n": torch.tensor(3)}
    second = {"w": torch.tensor(values[::-1]) * 0.37, "n": torch.tensor(8)}
    assert torch.equal(_paths.between(first, second, 0.0)["w"], first["w"])
    assert torch.equal(_paths.between(first, second, 1.0)["w"], second["w"])
    place = _paths.between(first, second, alpha)
    a, b = (np.array(end["w"].tolist()) for end in (first, second))
    np.testing.assert_allclose(place["w"].numpy(), a + alpha * (b - a), rtol=1e-6, atol=1e-9 * np.abs(a).max() + 1e-37)
    assert place["w"].dtype == torch.float32
    assert int(place["n"]) == 3


def test_the_rise_is_over_the_mean_of_the_ends() -> None:
    path = Walk([0.25, 0.5, 0.75, 0.375])
    assert path.ends == 0.3125
    assert path.rise == 0.4375
    assert path.alphas == [0, 1 / 3, 2 / 3, 1]


@given(st.lists(st.floats(0, 1), min_size=3, max_size=30))
def test_a_rise_is_never_below_zero(errors: list[float]) -> None:
    assert Walk(errors).rise >= 0


@pytest.mark.parametrize("split", ["test", "valid", "train"])
@pytest.mark.parametrize("sample", [None, 5, 7, 1_000])
def test_an_error_is_the_share_of_a_fixed_evenly_spaced_sample_that_is_wrong(split: str, sample: int | None) -> None:
    data, net = toy(), two_layer_net()
    x, y = images(data, split)
    with torch.no_grad():
        wrong = (net(x).argmax(1) != y).numpy()
    if sample is not None and sample < len(wrong):
        wrong = wrong[[i * len(wrong) // sample for i in range(sample)]]
    config = PathConfig(split=split, images=sample)
    assert _paths.error(net, data, CLASSES, config) == pytest.approx(wrong.mean())


def test_large_splits_are_measured_in_batches() -> None:
    assert [b.indices.numel() for b in _paths.in_batches(torch.arange(2_300))] == [1_000, 1_000, 300]


def sorted_data(size: int) -> Data:
    """Images that get brighter and brighter, so that a batch of neighbours looks like no other."""
    labels = torch.arange(size) * 3 // size
    pixels = (torch.arange(size)[:, None, None, None] * 200 // size + torch.arange(8).reshape(1, 1, 2, 4) * 6).byte()
    splits = {name: Resident(pixels, labels, (0.42,), (0.3,)) for name in ("train", "valid", "test")}
    return Data(DataInfo("sorted", "0", dict.fromkeys(splits, size), (1, 2, 4), 3), splits)


@pytest.mark.parametrize(("size", "used"), [(96, 96), (2_500, 2_500), (12_500, 10_000)])
def test_recalibrated_statistics_are_means_over_batches_that_are_spread_over_the_sample(size: int, used: int) -> None:
    data, net = sorted_data(size), normalised_net()
    _paths.recalibrate(net, data, CLASSES)
    x, _ = images(data, "train")
    x = x[[i * size // used for i in range(used)]]
    count = -(-used // 1_000)
    with torch.no_grad():
        seen = [net[0](x[first::count]).double().movedim(1, 0).flatten(1) for first in range(count)]
    norm = net[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert norm.running_mean.numpy() == pytest.approx(torch.stack([s.mean(1) for s in seen]).mean(0).numpy(), rel=1e-4)
    assert norm.running_var.numpy() == pytest.approx(torch.stack([s.var(1) for s in seen]).mean(0).numpy(), rel=1e-4)
    # Neighbours alone would have seen far less of the spread.
    whole = torch.cat(seen, 1).var(1)
    assert norm.running_var.numpy() == pytest.approx(whole.numpy(), rel=0.02)


def test_recalibrating_forgets_what_the_statistics_were_and_leaves_the_rest_as_it_was() -> None:
    one, other = normalised_net(), normalised_net()
    norm = other[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    norm.running_mean.fill_(7.0)
    norm.momentum = 0.03
    before = state(other)
    with no_global_randomness():
        for net in (one, other):
            _paths.recalibrate(net, toy(), CLASSES)
    assert same(state(one), state(other))
    assert norm.momentum == 0.03
    assert not any(module.training for module in other.modules())
    changed = {name for name, value in state(other).items() if not torch.equal(value, before[name])}
    assert changed == {"1.running_mean", "1.running_var", "1.num_batches_tracked"}


def test_a_network_without_running_statistics_has_nothing_to_recalibrate() -> None:
    net = nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3, track_running_stats=False), nn.Flatten(), nn.Linear(9, 3))
    before = state(net)
    _paths.recalibrate(net, toy(), CLASSES)
    assert same(before, state(net))


def errors(first: dict[str, Tensor], second: dict[str, Tensor], points: int, bn: str) -> list[float]:
    """The errors on a path, without the module under test but for the recalibration, which has tests of its own."""
    data, found = toy(), []
    x, y = images(data, "test")
    for alpha in np.linspace(0, 1, points):
        net = normalised_net()
        net.load_state_dict({n: v + alpha * (second[n] - v) if v.is_floating_point() else v for n, v in first.items()})
        if bn == "recalibrate":
            _paths.recalibrate(net, data, CLASSES)
        net.eval()
        with torch.no_grad():
            found.append(float((net(x).argmax(1) != y).double().mean()))
    return found


@pytest.mark.parametrize("bn", ["interpolate", "recalibrate"])
def test_a_walk_measures_each_point_and_changes_neither_end(bn: str) -> None:
    ends: Sequence[dict[str, Tensor]] = [state(normalised_net()) for _ in range(2)]
    generator = torch.Generator().manual_seed(3)
    for end in ends:
        for name, value in end.items():
            if value.is_floating_point():
                noise = torch.randn(value.shape, generator=generator)
                end[name] = noise.abs() + 0.1 if "var" in name else noise
    copies = [{name: value.clone() for name, value in end.items()} for end in ends]
    with no_global_randomness():
        path = _paths.walk(ends[0], ends[1], 9, normalised_net(), toy(), CLASSES, PathConfig(bn=bn))
    assert path.errors == pytest.approx(errors(ends[0], ends[1], 9, bn))
    assert len(set(path.errors)) > 2
    assert all(same(a, b) for a, b in zip(copies, ends, strict=True))


def test_what_batch_norm_does_on_a_path_makes_a_difference() -> None:
    first = state(normalised_net())
    second = {name: -value if name.startswith("0.") else value for name, value in first.items()}
    second["1.running_mean"] = first["1.running_mean"] - 2.0
    walks = [
        _paths.walk(first, second, 5, normalised_net(), toy(), CLASSES, PathConfig(bn=bn)).errors
        for bn in ("interpolate", "recalibrate")
    ]
    assert walks[0] != walks[1]
