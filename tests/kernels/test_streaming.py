from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from prunebench import DataMissing
from prunebench.api.data import Gather, Resident
from prunebench.kernels.streaming import Streaming, ahead
from prunebench.testing import no_global_randomness

COUNT = 12
IMAGES = torch.randint(256, (COUNT, 3, 4, 5), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
LABELS = torch.arange(COUNT) % 5
MEAN, STD = (0.5, 0.25, 0.4), (0.2, 0.4, 0.3)


def noisy(images: Tensor, generator: torch.Generator) -> Tensor:
    return images // 2 + torch.randint(0, 99, images.shape, dtype=torch.uint8, generator=generator)


def load(index: int) -> Tensor:
    return IMAGES[index].clone()


def streams() -> list[str]:
    """The threads of streams that are still there."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("prunebench-ahead")]


gathers_of_images = st.lists(
    st.builds(
        lambda indices, seed: Gather(torch.tensor(indices), seed),
        st.lists(st.integers(0, COUNT - 1), min_size=1, max_size=9),
        st.none() | st.integers(0, 2**63 - 1),
    ),
    max_size=6,
)


@settings(deadline=None)
@given(gathers_of_images)
def test_a_stream_gives_the_bits_that_a_resident_split_gives(gathers: list[Gather]) -> None:
    resident = Resident(IMAGES, LABELS, MEAN, STD, noisy)
    streaming = Streaming(load, LABELS, MEAN, STD, noisy)
    assert streaming.size == resident.size
    with no_global_randomness():
        found = list(streaming.batches(gathers))
    expected = list(resident.batches(gathers))
    assert len(found) == len(gathers)
    for (images, labels), (wanted, wanted_labels) in zip(found, expected, strict=True):
        assert images.dtype == torch.float32
        assert torch.equal(images, wanted)
        assert torch.equal(labels, wanted_labels)
    assert streams() == []


def test_a_split_moves_to_a_device_and_keeps_its_images() -> None:
    moved = Streaming(load, LABELS, MEAN, STD).to(torch.device("meta"))
    assert moved.device == torch.device("meta")
    assert Streaming(load, LABELS, MEAN, STD).device == torch.device("cpu")
    assert moved.size == COUNT


@settings(deadline=None)
@given(st.integers(0, 40), st.integers(0, 50))
def test_work_is_done_ahead_and_given_in_order(count: int, most: int) -> None:
    assert list(ahead(lambda item: item * item, range(count), most)) == [item * item for item in range(count)]
    assert streams() == []


def test_no_more_is_read_ahead_than_said() -> None:
    read = []

    def items() -> Iterator[int]:
        for item in range(100):
            read.append(item)
            yield item

    results = ahead(lambda item: item, items(), most=5)
    assert (next(results), next(results)) == (0, 1)
    assert read == list(range(7))
    results.close()
    assert read == list(range(7))


def test_a_stream_that_is_left_ends_its_threads() -> None:
    batches = Streaming(load, LABELS, MEAN, STD).batches(Gather(torch.arange(4)) for _ in range(10_000))
    next(batches)
    assert streams() != []
    del batches
    assert streams() == []


def test_an_image_that_cannot_be_read_ends_the_stream_with_its_own_error() -> None:
    def broken(index: int) -> Tensor:
        if index == 7:
            raise DataMissing("seven.jpg is no image")
        return load(index)

    batches = Streaming(broken, LABELS, MEAN, STD).batches(Gather(torch.arange(i, i + 3)) for i in (0, 3, 6, 9))
    assert [labels.tolist() for _, labels in (next(batches), next(batches))] == [[0, 1, 2], [3, 4, 0]]
    with pytest.raises(DataMissing, match=r"seven\.jpg"):
        next(batches)
    assert streams() == []


def test_images_are_loaded_by_other_threads_than_the_one_that_trains() -> None:
    by = set()

    def noted(index: int) -> Tensor:
        by.add(threading.current_thread())
        return load(index)

    list(Streaming(noted, LABELS, MEAN, STD).batches([Gather(torch.arange(COUNT))]))
    assert by
    assert threading.current_thread() not in by
