import gzip
import hashlib
import os
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from prunebench import DataMissing, PlanError
from prunebench.api.data import Data, Gather, Resident
from prunebench.api.random import Streams
from prunebench.testing import DataContract
from prunebench_plugins.data.mnist import Mnist, MnistConfig

SIZES = {"train": 40, "t10k": 12}


def files() -> dict[str, bytes]:
    content = {}
    for part, size in SIZES.items():
        # An image's pixels all hold its number, so that it can be told where it came from.
        pixels = np.repeat(np.arange(size, dtype=np.uint8), 784)
        content[f"{part}-images-idx3-ubyte"] = struct.pack(">4B3I", 0, 0, 8, 3, size, 28, 28) + pixels.tobytes()
        labels = (np.arange(size) % 10).astype(np.uint8)
        content[f"{part}-labels-idx1-ubyte"] = struct.pack(">4BI", 0, 0, 8, 1, size) + labels.tobytes()
    return content


def write(folder: Path, zipped: bool = False) -> Path:
    folder.mkdir(parents=True)
    for name, content in files().items():
        if zipped:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (folder / name).write_bytes(content)
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write(tmp_path / "MNIST" / "raw")
    return tmp_path


def load(root: Path, seed: int = 0, **config: object) -> Data:
    rng = Streams(seed).rng("split")
    return Mnist(MnistConfig.model_validate({"valid": 10, **config})).prunebench_data(root, rng)


def numbers(data: Data, split: str) -> list[int]:
    resident = data[split]
    assert isinstance(resident, Resident)
    assert torch.equal(resident.images[:, 0, 0, 0] % 10, resident.labels)
    return resident.images[:, 0, 0, 0].tolist()


class TestMnist(DataContract):
    component = {"use": "mnist"}


class TestMnistSubsetWithShifts(DataContract):
    component = {"use": "mnist", "train": 1_000, "valid": 500, "augment": "shift"}


class TestMnistWithoutHeldOutImages(DataContract):
    component = {"use": "mnist", "valid": 0}


class TestMadeUpDigits(DataContract):
    component = {"use": "mnist", "valid": 10}

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
    assert data.info.note == ""


def test_where_nothing_is_held_out_all_images_train_and_there_is_no_valid(root: Path) -> None:
    data = load(root, valid=0)
    assert data.info.sizes == {"train": 40, "test": 12}
    assert set(data.splits) == {"train", "test"}
    assert sorted(numbers(data, "train")) == list(range(40))


def test_seeds_hold_out_other_images_of_one_source(root: Path) -> None:
    first, second = load(root, 0), load(root, 1)
    assert sorted(numbers(first, "valid")) != sorted(numbers(second, "valid"))
    assert first.info.digest == second.info.digest


def test_a_subset_is_named_and_spares_the_same_validation_images(root: Path) -> None:
    subset, whole = load(root, train=7), load(root)
    assert subset.info.sizes["train"] == 7
    assert subset.info.note == "subset: 7 of 30 training images"
    assert numbers(subset, "valid") == numbers(whole, "valid")
    assert numbers(subset, "train") == numbers(whole, "train")[:7]


@pytest.mark.parametrize(("normalise", "mean", "spread"), [("own", 0.1307, 0.3081), ("none", 0.0, 1.0)])
def test_images_are_normalised_as_stated(root: Path, normalise: str, mean: float, spread: float) -> None:
    ((images, _),) = load(root, normalise=normalise)["test"].batches([Gather(torch.arange(12))])
    torch.testing.assert_close(images[:, 0, 0, 0], (torch.arange(12) / 255 - mean) / spread)


def test_the_default_normalisation_is_in_no_key() -> None:
    assert "normalise" not in MnistConfig().model_dump(mode="json")
    assert MnistConfig(normalise="none").model_dump(mode="json")["normalise"] == "none"


@pytest.mark.parametrize(
    ("folder", "zipped"), [("MNIST/raw", True), ("MNIST", True), ("mnist", True), ("mnist", False)]
)
def test_files_are_found_where_people_put_them(root: Path, tmp_path: Path, folder: str, zipped: bool) -> None:
    elsewhere = tmp_path / "elsewhere"
    write(elsewhere / folder, zipped)
    there, here = load(elsewhere).info, load(root).info
    assert (there.digest, there.sizes) == (here.digest, here.sizes)
    assert [Path(file).parent for file in there.files] == [elsewhere / folder] * 4


@pytest.mark.parametrize("name", sorted(files()))
def test_the_digest_changes_with_any_image_or_label(root: Path, name: str) -> None:
    before = load(root).info.digest
    path = root / "MNIST" / "raw" / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(bytes(content))
    assert load(root).info.digest != before


@pytest.mark.parametrize(("valid", "train"), [(40, None), (41, None), (30, 11), (10, 31)])
def test_more_images_than_there_are_is_an_error(root: Path, valid: int, train: int | None) -> None:
    with pytest.raises(PlanError, match="40 images"):
        load(root, valid=valid, train=train)


def test_missing_files_say_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"no train-images-idx3-ubyte .* `prunebench data fetch mnist`.* MNIST/raw/"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("damage", "match"),
    [
        (lambda content: content[:-1], "should hold 31,360 bytes of data and holds 31,359"),
        (lambda content: content + b"x", "holds 31,361"),
        (lambda content: b"\x00\x00\x0d\x03" + content[4:], "not an idx file"),
        (lambda content: content[:7], "not an idx file"),
        (lambda content: b"", "not an idx file"),
    ],
)
def test_a_damaged_file_is_named(root: Path, damage: object, match: str) -> None:
    path = root / "MNIST" / "raw" / "train-images-idx3-ubyte"
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(DataMissing, match=rf"train-images-idx3-ubyte is damaged: .*{match}"):
        load(root)


@pytest.mark.parametrize("damage", [lambda content: content[:-20], lambda content: b"no gzip", lambda content: b""])
def test_a_damaged_archive_is_named(tmp_path: Path, damage: object) -> None:
    path = write(tmp_path / "mnist", zipped=True) / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(damage(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(DataMissing, match=r"t10k-labels-idx1-ubyte\.gz is damaged"):
        load(tmp_path)


def test_files_that_do_not_belong_together_are_refused(root: Path) -> None:
    raw = root / "MNIST" / "raw"
    (raw / "train-labels-idx1-ubyte").write_bytes((raw / "t10k-labels-idx1-ubyte").read_bytes())
    with pytest.raises(DataMissing, match="belong together"):
        load(root)


def test_downloads_are_the_publishers_with_checksums_and_two_mirrors(tmp_path: Path) -> None:
    downloads = Mnist(MnistConfig()).prunebench_downloads(tmp_path)
    assert [download.path.name for download in downloads] == [
        "train-images-idx3-ubyte.gz",
        "train-labels-idx1-ubyte.gz",
        "t10k-images-idx3-ubyte.gz",
        "t10k-labels-idx1-ubyte.gz",
    ]
    for download in downloads:
        assert download.path.parent == tmp_path / "MNIST" / "raw"
        assert len(download.urls) == 2
        assert all(url.startswith("https://") and url.endswith(download.path.name) for url in download.urls)
        assert download.checksum.startswith("md5:")


def test_the_checksums_are_those_of_the_real_files() -> None:
    root = Path(os.environ.get("PRUNEBENCH_DATA", "."))
    downloads = Mnist(MnistConfig()).prunebench_downloads(root)
    if not all(download.path.is_file() for download in downloads):
        pytest.skip("no mnist under $PRUNEBENCH_DATA")
    for download in downloads:
        md5 = hashlib.md5(download.path.read_bytes(), usedforsecurity=False).hexdigest()
        assert f"md5:{md5}" == download.checksum
