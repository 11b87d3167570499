import io
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from prunebench import DataMissing, PlanError
from prunebench.api.data import Data, Gather, Resident, in_order
from prunebench.api.random import Streams
from prunebench.kernels.streaming import Streaming
from prunebench.testing import DataContract
from prunebench_plugins.data import tinyimagenet
from prunebench_plugins.data.tinyimagenet import TinyImageNet, TinyImageNetConfig

# Not in the order of their names, as in the official file.
WNIDS = ("n03", "n01", "n02")
TRAIN, TEST = 6, 2
"""Images of each class."""


def jpeg(number: int, size: int = 64, grey: bool = False) -> bytes:
    """An image of one grey, by which it is told."""
    file = io.BytesIO()
    Image.new("L", (size, size), 10 * number).convert("L" if grey else "RGB").save(file, "JPEG", quality=100)
    return file.getvalue()


def write(root: Path) -> Path:
    folder = root / "tiny-imagenet-200"
    lines, number = [], 0
    (folder / "val" / "images").mkdir(parents=True)
    (folder / "test" / "images").mkdir(parents=True)
    (folder / "test" / "images" / "test_0.JPEG").write_bytes(jpeg(0))
    (folder / "wnids.txt").write_text("\n".join(WNIDS) + "\n")
    for wnid in sorted(WNIDS):
        (folder / "train" / wnid / "images").mkdir(parents=True)
        for index in range(TRAIN):
            # One of them is stored grey.
            (folder / "train" / wnid / "images" / f"{wnid}_{index}.JPEG").write_bytes(jpeg(number, grey=index == 2))
            number += 1
        (folder / "train" / wnid / f"{wnid}_boxes.txt").write_text("")
    for index, wnid in enumerate(WNIDS * TEST):
        (folder / "val" / "images" / f"val_{index}.JPEG").write_bytes(jpeg(index))
        lines.append(f"val_{index}.JPEG\t{wnid}\t0\t0\t63\t63")
    (folder / "val" / "val_annotations.txt").write_text("\n".join(lines) + "\n")
    return folder


def pack(root: Path, folder: Path) -> Path:
    with zipfile.ZipFile(root / tinyimagenet.ARCHIVE, "w") as file:
        for path in sorted(folder.rglob("*")):
            file.write(path, path.relative_to(folder.parent))
    return root / tinyimagenet.ARCHIVE


def load(root: Path, seed: int = 0, **config: object) -> Data:
    table = {"valid": 5, "subset": True, **config}
    return TinyImageNet(TinyImageNetConfig.model_validate(table)).prunebench_data(root, Streams(seed).rng("split"))


def split(data: Data, name: str) -> tuple[list[int], list[int]]:
    """The numbers and the labels of its images."""
    resident = data[name]
    assert isinstance(resident, Resident)
    numbers = (resident.images.float().mean((1, 2, 3)) / 10).round().int()
    return numbers.tolist(), resident.labels.tolist()


class TestTinyImageNet(DataContract):
    component = {"use": "tinyimagenet"}


class TestPartialCopy(DataContract):
    component = {"use": "tinyimagenet", "subset": True, "valid": 500, "train": 500}

    def test_the_files_that_it_was_read_from_exist(self) -> None:
        # Folders, too: an image that is added changes no file that was read.
        assert all(Path(file).exists() for file in self.load(0).info.files)


class TestMadeUpImages(TestPartialCopy):
    component = {"use": "tinyimagenet", "subset": True, "valid": 5, "augment": "resized-crop-flip"}

    @pytest.fixture(autouse=True)
    def _made_up(self, tmp_path: Path) -> None:
        write(tmp_path)
        self._root = tmp_path

    def root(self) -> Path:
        return self._root


class TestStreamedImages(TestMadeUpImages):
    component = {**TestMadeUpImages.component, "memory": "stream"}


def test_valid_is_held_out_of_train_and_test_is_the_official_validation_set(tmp_path: Path) -> None:
    write(tmp_path)
    data = load(tmp_path)
    assert data.info.sizes == {"train": 13, "valid": 5, "test": 6}
    (train, train_labels), (valid, valid_labels) = split(data, "train"), split(data, "valid")
    assert sorted(train + valid) == list(range(18))
    # Classes are numbered in the order of their names.
    assert all(
        label == number // TRAIN for number, label in zip(train + valid, train_labels + valid_labels, strict=True)
    )
    assert split(data, "test") == ([0, 1, 2, 3, 4, 5], [2, 0, 1, 2, 0, 1])


def test_seeds_hold_out_other_images_of_one_source(tmp_path: Path) -> None:
    write(tmp_path)
    first, second = load(tmp_path, 0), load(tmp_path, 1)
    assert sorted(split(first, "valid")[0]) != sorted(split(second, "valid")[0])
    assert first.info.digest == second.info.digest


def test_a_partial_copy_is_used_only_if_the_file_says_so_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    with pytest.raises(DataMissing, match=r"3 classes, 18 training and 6 validation images of 200, .*`subset = true`"):
        load(tmp_path, subset=False)
    copy = "subset: the copy has 18 of 100,000 training and 6 of 10,000 test images"
    assert load(tmp_path).info.note == copy
    assert load(tmp_path, train=4).info.note == f"{copy}; subset: 4 of 13 training images"
    monkeypatch.setattr(tinyimagenet, "WHOLE", (3, 18, 6))
    assert load(tmp_path, subset=False).info.note == ""
    assert load(tmp_path).info.note == ""


def test_the_archive_gives_the_same_data_as_the_folder(tmp_path: Path) -> None:
    folder = write(tmp_path)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    archive = pack(elsewhere, folder)
    unpacked, packed = load(tmp_path), load(elsewhere)
    assert packed.info.files == (str(archive),)
    assert packed.info.digest == unpacked.info.digest
    for name in packed.splits:
        assert split(packed, name) == split(unpacked, name)


@pytest.mark.parametrize("packed", [False, True])
def test_streamed_and_resident_batches_are_bit_equal(tmp_path: Path, packed: bool) -> None:
    folder = write(tmp_path)
    root = tmp_path
    if packed:
        root = tmp_path / "elsewhere"
        root.mkdir()
        pack(root, folder)
    resident, streamed = (load(root, augment="pad-crop-flip", memory=memory) for memory in ("auto", "stream"))
    assert isinstance(streamed["train"], Streaming)
    assert streamed.info == resident.info
    for name in resident.splits:
        gathers = [Gather(torch.tensor([4, 0, 1]), 7), *in_order(resident[name].size, 4)]
        both = zip(resident[name].batches(gathers), streamed[name].batches(gathers), strict=True)
        assert all(torch.equal(x, y) and torch.equal(labels, again) for (x, labels), (y, again) in both)
    assert isinstance(load(root, resident_limit=24 * 3 * 64 * 64)["train"], Resident)
    assert isinstance(load(root, resident_limit=24 * 3 * 64 * 64 - 1)["train"], Streaming)


@pytest.mark.parametrize("file", ["train/n02/images/n02_1.JPEG", "val/images/val_3.JPEG"])
def test_the_digest_changes_with_any_image(tmp_path: Path, file: str) -> None:
    folder = write(tmp_path)
    before = load(tmp_path).info.digest
    (folder / file).write_bytes(jpeg(20))
    assert load(tmp_path).info.digest != before


def test_the_digest_changes_with_a_label(tmp_path: Path) -> None:
    folder = write(tmp_path)
    before = load(tmp_path).info.digest
    annotations = folder / "val" / "val_annotations.txt"
    annotations.write_text(annotations.read_text().replace("val_0.JPEG\tn03", "val_0.JPEG\tn02"))
    assert load(tmp_path).info.digest != before


def test_more_images_than_there_are_is_an_error(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(PlanError, match="tinyimagenet: the training set has 18 images"):
        load(tmp_path, valid=18)


def test_missing_images_say_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"no tiny-imagenet-200 in .* `prunebench data fetch tinyimagenet`"):
        load(tmp_path)


@pytest.mark.parametrize("file", ["wnids.txt", "val/val_annotations.txt", "val/images/val_4.JPEG"])
def test_a_missing_file_is_named(tmp_path: Path, file: str) -> None:
    (write(tmp_path) / file).unlink()
    with pytest.raises(DataMissing, match=f"lacks tiny-imagenet-200/{file}"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("content", "match"),
    [
        (b"x" * 99, "is no image"),
        (b"", "is no image"),
        (jpeg(1)[:-200], "is no image"),
        (jpeg(1, 32), "has 32 x 32 pixels"),
    ],
)
def test_a_damaged_image_is_named(tmp_path: Path, content: bytes, match: str) -> None:
    file = write(tmp_path) / "train" / "n01" / "images" / "n01_3.JPEG"
    file.write_bytes(content)
    with pytest.raises(DataMissing, match=rf"train/n01/images/n01_3\.JPEG in .* {match}"):
        load(tmp_path)


def test_a_damaged_archive_is_named(tmp_path: Path) -> None:
    (tmp_path / tinyimagenet.ARCHIVE).write_bytes(b"no zip file")
    with pytest.raises(DataMissing, match=r"tiny-imagenet-200\.zip is damaged"):
        load(tmp_path)


def test_the_download_is_the_archive_that_is_read(tmp_path: Path) -> None:
    (download,) = TinyImageNet(TinyImageNetConfig()).prunebench_downloads(tmp_path)
    assert download.path == tmp_path / "tiny-imagenet-200.zip"
    assert download.checksum == f"md5:{tinyimagenet.MD5}"
