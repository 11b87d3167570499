import hashlib
import io
import os
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from prunebench import DataMissing, PlanError
from prunebench.api.data import Data, Gather, Resident
from prunebench.api.random import Streams
from prunebench.testing import DataContract
from prunebench_plugins.data import cifar10, cifar100
from prunebench_plugins.data.cifar10 import Cifar10, Cifar10Config
from prunebench_plugins.data.cifar100 import Cifar100, Cifar100Config

MODULES: dict[str, Any] = {"cifar10": cifar10, "cifar100": cifar100}
EACH = pytest.mark.parametrize("name", MODULES)
IMAGES = 10
"""In each made-up file."""


def records(name: str) -> dict[str, bytes]:
    """Made-up files in the publisher's layout; the first pixel of an image is its number, and its label that of it."""
    content = {}
    for index, file in enumerate(MODULES[name].SHA1):
        numbers = np.arange(IMAGES, dtype=np.uint8) + IMAGES * index
        pixels = np.random.default_rng(index).integers(256, size=(IMAGES, 3072), dtype=np.uint8)
        pixels[:, 0] = numbers
        labels = (numbers % 10)[:, None]
        coarse = [] if name == "cifar10" else [labels // 5]
        content[file] = np.concatenate([*coarse, labels, pixels], axis=1).tobytes()
    return content


def sha1(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


def unpack(root: Path, name: str, sums: pytest.MonkeyPatch) -> Path:
    """Write the files, and make theirs the published checksums."""
    files = records(name)
    sums.setattr(MODULES[name], "SHA1", {file: sha1(content) for file, content in files.items()})
    folder = root / str(MODULES[name].FOLDER)
    folder.mkdir()
    for file, content in files.items():
        (folder / file).write_bytes(content)
    return folder


def pack(root: Path, name: str) -> Path:
    """An archive as the publisher's, with a file that is of no use here."""
    archive = root / str(MODULES[name].ARCHIVE)
    with tarfile.open(archive, "w:gz") as tar:
        for file, content in {"readme.html": b"<html>", **records(name)}.items():
            member = tarfile.TarInfo(f"{MODULES[name].FOLDER}/{file}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return archive


def load(root: Path, name: str, seed: int = 0, **config: object) -> Data:
    table = {"valid": 4, **config}
    rng = Streams(seed).rng("split")
    if name == "cifar10":
        return Cifar10(Cifar10Config.model_validate(table)).prunebench_data(root, rng)
    return Cifar100(Cifar100Config.model_validate(table)).prunebench_data(root, rng)


def numbers(data: Data, split: str) -> list[int]:
    resident = data[split]
    assert isinstance(resident, Resident)
    first = resident.images[:, 0, 0, 0]
    assert torch.equal(first % 10, resident.labels)
    return first.tolist()


class TestCifar10(DataContract):
    component = {"use": "cifar10"}


class TestCifar10SubsetAugmented(DataContract):
    component = {"use": "cifar10", "valid": 500, "train": 1_000, "augment": "pad-crop-flip"}


class TestCifar100(DataContract):
    component = {"use": "cifar100"}


class MadeUp(DataContract):
    @pytest.fixture(autouse=True)
    def _made_up(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        unpack(tmp_path, str(self.component["use"]), monkeypatch)
        self._root = tmp_path

    def root(self) -> Path:
        return self._root


class TestMadeUpCifar10(MadeUp):
    component = {"use": "cifar10", "valid": 5, "augment": "pad-crop-flip"}


class TestMadeUpCifar100(MadeUp):
    component = {"use": "cifar100", "valid": 2, "augment": "pad-crop-flip"}


del MadeUp


@EACH
def test_pixels_are_rows_of_red_then_green_then_blue(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack(tmp_path, name, monkeypatch)
    *_, last = records(name).values()
    test = load(tmp_path, name)["test"]
    assert isinstance(test, Resident)
    record = np.frombuffer(last, np.uint8).reshape(IMAGES, -1)[3][-3072:]
    for channel, row, column in ((0, 0, 1), (1, 5, 7), (2, 31, 30)):
        assert int(test.images[3, channel, row, column]) == record[channel * 1024 + row * 32 + column]


@EACH
def test_valid_is_held_out_of_train_and_test_is_all_of_test(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack(tmp_path, name, monkeypatch)
    data = load(tmp_path, name)
    total = IMAGES * (len(records(name)) - 1)
    assert data.info.sizes == {"train": total - 4, "valid": 4, "test": IMAGES}
    assert sorted(numbers(data, "train") + numbers(data, "valid")) == list(range(total))
    assert numbers(data, "test") == list(range(total, total + IMAGES))
    assert data.info.note == ""
    assert data.info.classes == {"cifar10": 10, "cifar100": 100}[name]


@EACH
def test_seeds_hold_out_other_images_of_one_source(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpack(tmp_path, name, monkeypatch)
    first, second = load(tmp_path, name, 0), load(tmp_path, name, 1)
    assert sorted(numbers(first, "valid")) != sorted(numbers(second, "valid"))
    assert first.info.digest == second.info.digest


@EACH
def test_a_subset_is_named_and_spares_the_same_validation_images(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    unpack(tmp_path, name, monkeypatch)
    subset, whole = load(tmp_path, name, train=3), load(tmp_path, name)
    assert subset.info.note == f"subset: 3 of {whole.info.sizes['train']} training images"
    assert numbers(subset, "valid") == numbers(whole, "valid")
    assert numbers(subset, "train") == numbers(whole, "train")[:3]


def test_more_images_than_there_are_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    unpack(tmp_path, "cifar100", monkeypatch)
    for valid, train in ((10, None), (11, None), (4, 7)):
        with pytest.raises(PlanError, match="cifar100: the training set has 10 images"):
            load(tmp_path, "cifar100", valid=valid, train=train)


@EACH
def test_the_archive_gives_the_same_data_as_the_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = unpack(tmp_path, name, monkeypatch)
    unpacked = load(tmp_path, name)
    for file in folder.iterdir():
        file.unlink()
    archive = pack(tmp_path, name)
    packed = load(tmp_path, name)
    assert packed.info.files == (str(archive),)
    assert (packed.info.digest, packed.info.sizes) == (unpacked.info.digest, unpacked.info.sizes)
    for split in unpacked.splits:
        ours, theirs = packed[split], unpacked[split]
        assert isinstance(ours, Resident)
        assert isinstance(theirs, Resident)
        assert torch.equal(ours.images, theirs.images)
        assert torch.equal(ours.labels, theirs.labels)


@EACH
def test_a_folder_that_is_not_whole_yields_to_the_archive(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = unpack(tmp_path, name, monkeypatch)
    next(iter(sorted(folder.iterdir()))).unlink()
    archive = pack(tmp_path, name)
    assert load(tmp_path, name).info.files == (str(archive),)


@EACH
def test_missing_files_say_what_to_put_where(name: str, tmp_path: Path) -> None:
    match = rf"{name}: no {MODULES[name].FOLDER} .* `prunebench data fetch {name}`, or put {MODULES[name].ARCHIVE}"
    with pytest.raises(DataMissing, match=match):
        load(tmp_path, name)


@EACH
def test_a_folder_that_is_not_whole_names_what_it_lacks(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = unpack(tmp_path, name, monkeypatch)
    gone = sorted(MODULES[name].SHA1)[0]
    (folder / gone).unlink()
    with pytest.raises(DataMissing, match=rf"{MODULES[name].FOLDER} lacks {gone}\. Run"):
        load(tmp_path, name)


@EACH
@pytest.mark.parametrize("damage", ["changed", "cut short", "empty"])
def test_a_file_that_is_not_the_published_one_is_named_with_what_to_do(
    name: str, damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = unpack(tmp_path, name, monkeypatch)
    for file in MODULES[name].SHA1:
        content = (folder / file).read_bytes()
        wrong = {"changed": bytes([content[0] ^ 1]) + content[1:], "cut short": content[:-1], "empty": b""}[damage]
        (folder / file).write_bytes(wrong)
        match = rf"{file} is not the published file: its SHA-1 is {sha1(wrong)}, .*`prunebench data fetch {name}`"
        with pytest.raises(DataMissing, match=match):
            load(tmp_path, name)
        (folder / file).write_bytes(content)
    load(tmp_path, name)


@EACH
def test_a_wrong_file_in_the_archive_is_named(name: str, tmp_path: Path) -> None:
    archive = pack(tmp_path, name)
    with pytest.raises(DataMissing, match=rf"{next(iter(MODULES[name].SHA1))} in {archive} is not the published file"):
        load(tmp_path, name)


@EACH
@pytest.mark.parametrize("damage", ["cut short", "no archive", "empty"])
def test_a_damaged_archive_is_named(name: str, damage: str, tmp_path: Path) -> None:
    archive = pack(tmp_path, name)
    content = archive.read_bytes()
    archive.write_bytes({"cut short": content[: len(content) // 2], "no archive": b"x" * 999, "empty": b""}[damage])
    with pytest.raises(DataMissing, match=rf"{archive} cannot be unpacked"):
        load(tmp_path, name)


@EACH
def test_an_archive_of_another_version_is_told_apart(name: str, tmp_path: Path) -> None:
    with tarfile.open(tmp_path / str(MODULES[name].ARCHIVE), "w:gz") as tar:
        tar.addfile(tarfile.TarInfo("cifar-10-batches-py/data_batch_1"))
    with pytest.raises(DataMissing, match=r"lacks .* it is not the publisher's binary version"):
        load(tmp_path, name)


@EACH
def test_the_download_is_the_archive_that_is_read(name: str, tmp_path: Path) -> None:
    plugin = {"cifar10": Cifar10(Cifar10Config()), "cifar100": Cifar100(Cifar100Config())}[name]
    (download,) = plugin.prunebench_downloads(tmp_path)
    assert download.path == tmp_path / str(MODULES[name].ARCHIVE)
    assert all(url.startswith("https://") and url.endswith(download.path.name) for url in download.urls)
    assert download.checksum == f"md5:{MODULES[name].MD5}"


def real(**config: object) -> Data:
    try:
        return load(Path(os.environ.get("PRUNEBENCH_DATA", ".")), "cifar10", **config)
    except DataMissing:
        pytest.skip("no cifar10 under $PRUNEBENCH_DATA")


def test_the_real_images_have_the_stated_mean_and_spread_and_every_class_a_tenth() -> None:
    data = real(valid=5_000)
    assert data.info.sizes == {"train": 45_000, "valid": 5_000, "test": 10_000}
    train, valid, test = (data[split] for split in ("train", "valid", "test"))
    assert isinstance(train, Resident)
    assert isinstance(valid, Resident)
    assert isinstance(test, Resident)
    assert torch.bincount(torch.cat([train.labels, valid.labels])).tolist() == [5_000] * 10
    assert torch.bincount(test.labels).tolist() == [1_000] * 10
    for channel in range(3):
        pixels = torch.cat([train.images[:, channel], valid.images[:, channel]]).double() / 255
        assert abs(float(pixels.mean()) - cifar10.MEAN[channel]) < 1e-4
        assert abs(float(pixels.std()) - cifar10.STD[channel]) < 1e-4


def test_only_training_images_are_cropped_and_mirrored() -> None:
    data = real(valid=5_000, augment="pad-crop-flip")
    many = Gather(torch.zeros(400, dtype=torch.int64), seed=1)
    ((images, _),) = data["train"].batches([many])
    # Of 81 places and 2 mirror images.
    assert 120 < len(torch.unique(images.flatten(1), dim=0)) <= 162
    ((images, _),) = data["test"].batches([many])
    assert len(torch.unique(images.flatten(1), dim=0)) == 1
