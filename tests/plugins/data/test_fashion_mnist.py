import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from prunebench import DataMissing, PlanError
from prunebench.api.data import Data, Gather, Resident
from prunebench.api.random import Streams
from prunebench.testing import DataContract
from prunebench_plugins.data.fashion_mnist import MD5, FashionMnist, FashionMnistConfig

SIZES = {"train": 40, "t10k": 12}


def files() -> dict[str, bytes]:
    content = {}
    for part, size in SIZES.items():
        # The first pixel of an image is its number; the others tell places apart.
        pixels = np.tile(np.arange(784) % 251, (size, 1)).astype(np.uint8)
        pixels[:, 0] = np.arange(size)
        content[f"{part}-images-idx3-ubyte"] = struct.pack(">4B3I", 0, 0, 8, 3, size, 28, 28) + pixels.tobytes()
        labels = (np.arange(size) % 10).astype(np.uint8)
        content[f"{part}-labels-idx1-ubyte"] = struct.pack(">4BI", 0, 0, 8, 1, size) + labels.tobytes()
    return content


def write(folder: Path, zipped: bool = True) -> Path:
    folder.mkdir(parents=True)
    for name, content in files().items():
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "FashionMNIST" / "raw")
    return tmp_path


def load(root: Path, seed: int = 0, **config: object) -> Data:
    rng = Streams(seed).rng("split")
    return FashionMnist(FashionMnistConfig.model_validate({"valid": 10, **config})).prunebench_data(root, rng)


def numbers(data: Data, split: str) -> list[int]:
    resident = data[split]
    assert isinstance(resident, Resident)
    assert torch.equal(resident.images[:, 0, 0, 0] % 10, resident.labels)
    return resident.images[:, 0, 0, 0].tolist()


class TestFashionMnist(DataContract):
    component = {"use": "fashion-mnist"}


class TestMadeUpClothes(DataContract):
    component = {"use": "fashion-mnist", "valid": 10, "augment": "pad-crop-flip"}

    @pytest.fixture(autouse=True)
    def _made_up(self, root: Path) -> None:
        self._root = root

    def root(self) -> Path:
        return self._root


def test_valid_is_held_out_of_train_and_test_is_all_of_test(root: Path) -> None:
    data = load(root)
    assert data.info.sizes == {"train": 30, "valid": 10, "test": 12}
    assert sorted(numbers(data, "train") + numbers(data, "valid")) == list(range(40))
    assert numbers(data, "test") == list(range(12))


def test_seeds_hold_out_other_images_of_one_source(root: Path) -> None:
    first, second = load(root, 0), load(root, 1)
    assert sorted(numbers(first, "valid")) != sorted(numbers(second, "valid"))
    assert first.info.digest == second.info.digest


def test_a_subset_is_named(root: Path) -> None:
    assert load(root, train=7).info.note == "subset: 7 of 30 training images"
    with pytest.raises(PlanError, match=r"fashion-mnist: .*train = 31"):
        load(root, train=31)


@pytest.mark.parametrize(("folder", "zipped"), [("FashionMNIST", True), ("fashion-mnist", False)])
def test_files_are_found_where_people_put_them(root: Path, tmp_path: Path, folder: str, zipped: bool) -> None:
    write(tmp_path / "elsewhere" / folder, zipped)
    there, here = load(tmp_path / "elsewhere").info, load(root).info
    assert (there.digest, there.sizes) == (here.digest, here.sizes)


def test_the_digits_of_mnist_are_not_taken_for_clothes(tmp_path: Path) -> None:
    write(tmp_path / "MNIST" / "raw")
    with pytest.raises(DataMissing, match=r"no train-images-idx3-ubyte .* `prunebench data fetch fashion-mnist`"):
        load(tmp_path)


@pytest.mark.parametrize("name", MD5)
def test_the_digest_changes_with_any_image_or_label(root: Path, name: str) -> None:
    before = load(root).info.digest
    path = root / "FashionMNIST" / "raw" / f"{name}.gz"
    content = bytearray(gzip.decompress(path.read_bytes()))
    content[-1] ^= 1
    path.write_bytes(gzip.compress(bytes(content)))
    assert load(root).info.digest != before


def test_a_damaged_file_is_named(root: Path) -> None:
    path = root / "FashionMNIST" / "raw" / "train-labels-idx1-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    with pytest.raises(DataMissing, match=r"fashion-mnist: .*train-labels-idx1-ubyte\.gz is damaged"):
        load(root)


def test_files_that_do_not_belong_together_are_refused(root: Path) -> None:
    raw = root / "FashionMNIST" / "raw"
    (raw / "train-labels-idx1-ubyte.gz").write_bytes((raw / "t10k-labels-idx1-ubyte.gz").read_bytes())
    with pytest.raises(DataMissing, match="belong together"):
        load(root)


def test_training_images_are_cropped_and_mirrored(root: Path) -> None:
    many = Gather(torch.zeros(300, dtype=torch.int64), seed=1)
    ((images, _),) = load(root, augment="pad-crop-flip")["train"].batches([many])
    # Of 25 places and 2 mirror images.
    assert 40 < len(torch.unique(images.flatten(1), dim=0)) <= 50


def test_downloads_are_the_publishers_as_torchvision_has_them(tmp_path: Path) -> None:
    from torchvision.datasets import FashionMNIST

    downloads = FashionMnist(FashionMnistConfig()).prunebench_downloads(tmp_path)
    assert [(d.path.name, d.checksum.removeprefix("md5:")) for d in downloads] == FashionMNIST.resources
    for download in downloads:
        assert download.path.parent == tmp_path / "FashionMNIST" / "raw"
        assert all(url.endswith(f"/{download.path.name}") for url in download.urls)
