from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from prunebench.api.data import Data, Gather, Resident, ResidentTensors, in_order
from prunebench.testing import ToyData, no_global_randomness


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


def test_tensors_of_any_kind_are_gathered_as_they_are() -> None:
    tokens = torch.arange(12).view(4, 3)
    part = ResidentTensors(tokens, torch.zeros(4, 0)).to(torch.device("cpu"))
    assert part.size == 4
    ((inputs, targets),) = part.batches([Gather(torch.tensor([3, 1]), seed=7)])
    assert inputs.tolist() == [[9, 10, 11], [3, 4, 5]]
    assert targets.shape == (2, 0)
