from __future__ import annotations

from itertools import pairwise

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from prunebench.api.data import Data, Gather, Resident, in_order
from prunebench.engine.measuring import measure, measure_split, sampled
from prunebench.testing import ToyData, no_global_randomness, two_layer_net


def split(count: int = 10, **more: object) -> Resident:
    images = torch.arange(count * 2 * 3 * 3, dtype=torch.int64).remainder(256).to(torch.uint8).view(count, 2, 3, 3)
    return Resident(images, torch.arange(count), (0.5, 0.25), (0.2, 0.4), **more)  # type: ignore[arg-type]


def one(part: Resident, *gathers: Gather) -> Tensor:
    return torch.cat([images for images, _ in part.batches(gathers)])


@pytest.fixture
def toy() -> Data:
    data: Data = ToyData().prunebench_data()
    return data


def test_images_are_normalised_by_channel() -> None:
    part = split()
    found = one(part, Gather(torch.arange(10)))
    scaled = part.images.double() / 255
    mean, std = torch.tensor([0.5, 0.25]).view(1, 2, 1, 1), torch.tensor([0.2, 0.4]).view(1, 2, 1, 1)
    torch.testing.assert_close(found.double(), (scaled - mean) / std, rtol=1e-5, atol=1e-6)
    assert found.dtype == torch.float32


def test_a_batch_holds_its_images_in_the_order_of_the_gather() -> None:
    part = split()
    whole = one(part, Gather(torch.arange(10)))
    ((images, labels),) = part.batches([Gather(torch.tensor([7, 7, 2]))])
    assert torch.equal(images, whole[[7, 7, 2]])
    assert labels.tolist() == [7, 7, 2]


def test_gathers_are_read_one_at_a_time() -> None:
    read = []

    def gathers() -> object:
        for index in range(3):
            read.append(index)
            yield Gather(torch.tensor([index]))

    batches = split().batches(gathers())  # type: ignore[arg-type]
    next(batches)
    assert read == [0]


def brighter(images: Tensor, generator: torch.Generator) -> Tensor:
    return images // 2 + torch.randint(0, 99, images.shape, dtype=torch.uint8, generator=generator)


def test_augmentation_follows_the_seed_of_its_batch_and_nothing_else() -> None:
    part = split(augment=brighter)
    indices = torch.tensor([1, 2])
    with no_global_randomness():
        first = one(part, Gather(indices, 5))
        later = one(part, Gather(torch.tensor([9]), 4), Gather(indices, 5))[1:]
        other = one(part, Gather(indices, 6))
    assert torch.equal(first, later)
    assert not torch.equal(first, other)


def test_batches_without_a_seed_are_not_augmented() -> None:
    indices = torch.tensor([1, 2])
    assert torch.equal(one(split(augment=brighter), Gather(indices)), one(split(), Gather(indices)))


def test_the_images_themselves_are_left_as_they_are() -> None:
    part = split(augment=brighter)
    before = part.images.clone()
    one(part, Gather(torch.arange(10), 1))
    assert torch.equal(part.images, before)


@given(st.integers(0, 50), st.integers(1, 60))
def test_in_order_shows_each_image_once(size: int, batch: int) -> None:
    gathers = list(in_order(size, batch))
    assert [i for gather in gathers for i in gather.indices.tolist()] == list(range(size))
    assert all(gather.seed is None and 0 < len(gather.indices) <= batch for gather in gathers)


def test_data_moves_with_all_its_splits(toy: Data) -> None:
    moved = toy.to(torch.device("cpu"))
    assert moved.info == toy.info
    assert set(moved.splits) == {"train", "valid", "test"}
    assert all(moved[name].size == toy[name].size for name in moved.splits)


# Measuring.


@given(st.integers(1, 3_000), st.integers(1, 3_000))
def test_a_sample_is_even_fixed_and_never_repeats_an_image(size: int, sample: int) -> None:
    indices = [i for gather in sampled(size, sample) for i in gather.indices.tolist()]
    assert len(indices) == min(size, sample)
    assert indices == sorted(set(indices))
    assert set(indices) <= set(range(size))
    steps = [b - a for a, b in pairwise(indices)]
    assert not steps or max(steps) - min(steps) <= 1
    assert indices == [i for gather in sampled(size, sample) for i in gather.indices.tolist()]


def test_loss_and_accuracy_are_means_over_images_whatever_the_batches(toy: Data) -> None:
    net = two_layer_net().eval()
    loss, hits = measure_split(net, toy["test"], in_order(24, 1))
    by_seven, same_hits = measure_split(net, toy["test"], in_order(24, 7))
    assert torch.equal(hits, same_hits)
    assert loss == pytest.approx(by_seven, rel=1e-6)
    ((images, labels),) = toy["test"].batches([Gather(torch.arange(24))])
    with torch.no_grad():
        logits = net(images)
    assert loss == pytest.approx(float(nn.functional.cross_entropy(logits, labels)), rel=1e-5)
    assert torch.equal(hits, logits.argmax(1) == labels)
    measured = measure(net, toy, ["test"], None)
    assert measured.values["test/accuracy"] == int(hits.sum()) / 24
    assert torch.equal(measured.hits["test"], hits)


@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_a_model_as_it_was(toy: Data, training: bool) -> None:
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)).train(training)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with no_global_randomness():
        first = measure(net, toy, ["train", "test"], 50).values
        again = measure(net, toy, ["train", "test"], 50).values
    assert first == again
    assert set(first) == {"train/loss", "train/accuracy", "test/loss", "test/accuracy"}
    assert net.training is training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_only_the_training_split_is_sampled(toy: Data) -> None:
    net = two_layer_net()
    few, whole = measure(net, toy, ["train", "valid"], 10), measure(net, toy, ["train", "valid"], None)
    assert few.values["valid/loss"] == whole.values["valid/loss"]
    assert few.values["train/loss"] != whole.values["train/loss"]
    assert {split: len(hits) for split, hits in few.hits.items()} == {"train": 10, "valid": 24}
    assert {split: len(hits) for split, hits in whole.hits.items()} == {"train": 96, "valid": 24}


def test_a_loss_that_is_not_finite_has_no_value(toy: Data) -> None:
    net = two_layer_net()
    with torch.no_grad():
        net.get_parameter("fc2.weight").fill_(float("nan"))
    found = measure(net, toy, ["test"], None).values
    assert found["test/loss"] is None
    assert found["test/accuracy"] is not None
