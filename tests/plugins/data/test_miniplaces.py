from __future__ import annotations

import io
from pathlib import Path

import pytest
import torch
from PIL import Image

from prunebench import DataMissing, PlanError
from prunebench.api.data import Data, Gather, Resident, in_order
from prunebench.api.random import Streams
from prunebench.kernels.streaming import Streaming
from prunebench.testing import DataContract
from prunebench_plugins.data import miniplaces
from prunebench_plugins.data.miniplaces import MiniPlaces, MiniPlacesConfig

PLACES = ("/a/abbey", "/b/bar", "/c/canal/natural")
TRAIN, TEST = 6, 2
"""Images of each class."""


def jpeg(number: int, size: int = 128) -> bytes:
    """An image of one grey, by which it is told."""
    file = io.BytesIO()
    Image.new("RGB", (size, size), (10 * number,) * 3).save(file, "JPEG", quality=100)
    return file.getvalue()


def write(root: Path) -> Path:
    folder = root / "miniplaces"
    lines: dict[str, list[str]] = {"train": [], "val": []}
    for label, place in enumerate(PLACES):
        (folder / "images" / f"train{place}").mkdir(parents=True)
        for index in range(TRAIN):
            name = f"train{place}/{index:08d}.jpg"
            (folder / "images" / name).write_bytes(jpeg(label * TRAIN + index))
            lines["train"].append(f"{name} {label}")
    (folder / "images" / "val").mkdir()
    for index in range(TEST * len(PLACES)):
        (folder / "images" / "val" / f"{index:08d}.jpg").write_bytes(jpeg(index))
        lines["val"].append(f"val/{index:08d}.jpg {(index + 1) % len(PLACES)}")
    for name, rows in lines.items():
        (folder / f"{name}.txt").write_text("\n".join(rows) + "\n")
    (folder / "categories.txt").write_text("".join(f"{place} {label}\n" for label, place in enumerate(PLACES)))
    return folder


def load(root: Path, seed: int = 0, **config: object) -> Data:
    table = {"valid": 5, "subset": True, **config}
    return MiniPlaces(MiniPlacesConfig.model_validate(table)).prunebench_data(root, Streams(seed).rng("split"))


def split(data: Data, name: str) -> tuple[list[int], list[int]]:
    """The numbers and the labels of its images."""
    resident = data[name]
    assert isinstance(resident, Resident)
    numbers = (resident.images.float().mean((1, 2, 3)) / 10).round().int()
    return numbers.tolist(), resident.labels.tolist()


class TestMiniPlaces(DataContract):
    component = {"use": "miniplaces"}


class TestPartialCopy(DataContract):
    component = {"use": "miniplaces", "subset": True, "valid": 500, "memory": "stream"}


class TestMadeUpImages(DataContract):
    component = {"use": "miniplaces", "subset": True, "valid": 5, "augment": "resized-crop-flip", "size": 16}

    @pytest.fixture(autouse=True)
    def _made_up(self, tmp_path: Path) -> None:
        write(tmp_path)
        self._root = tmp_path

    def root(self) -> Path:
        return self._root


def test_valid_is_held_out_of_train_and_test_is_the_official_validation_set(tmp_path: Path) -> None:
    write(tmp_path)
    data = load(tmp_path)
    assert data.info.sizes == {"train": 13, "valid": 5, "test": 6}
    assert (data.info.shape, data.info.classes) == ((3, 128, 128), 3)
    (train, train_labels), (valid, valid_labels) = split(data, "train"), split(data, "valid")
    assert sorted(train + valid) == list(range(18))
    assert all(n // TRAIN == label for n, label in zip(train + valid, train_labels + valid_labels, strict=True))
    assert split(data, "test") == ([0, 1, 2, 3, 4, 5], [1, 2, 0, 1, 2, 0])


def test_seeds_hold_out_other_images_of_one_source(tmp_path: Path) -> None:
    write(tmp_path)
    first, second = load(tmp_path, 0), load(tmp_path, 1)
    assert sorted(split(first, "valid")[0]) != sorted(split(second, "valid")[0])
    assert first.info.digest == second.info.digest


def test_a_partial_copy_is_used_only_if_the_file_says_so_and_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    with pytest.raises(DataMissing, match=r"3 classes, 18 training and 6 validation images of 100, .*`subset = true`"):
        load(tmp_path, subset=False)
    copy = "subset: the copy has 18 of 100,000 training and 6 of 10,000 test images"
    assert load(tmp_path).info.note == copy
    assert load(tmp_path, train=4).info.note == f"{copy}; subset: 4 of 13 training images"
    monkeypatch.setattr(miniplaces, "WHOLE", (3, 18, 6))
    assert load(tmp_path, subset=False).info.note == ""


@pytest.mark.parametrize("augment", ["none", "pad-crop-flip", "resized-crop-flip"])
@pytest.mark.parametrize("size", [32, 128])
def test_streamed_and_resident_batches_are_bit_equal(tmp_path: Path, augment: str, size: int) -> None:
    write(tmp_path)
    resident, streamed = (load(tmp_path, augment=augment, size=size, memory=memory) for memory in ("auto", "stream"))
    assert isinstance(resident["train"], Resident)
    assert isinstance(streamed["train"], Streaming)
    assert streamed.info == resident.info
    for name in resident.splits:
        gathers = [Gather(torch.tensor([4, 0, 1]), 7), *in_order(resident[name].size, 4)]
        both = zip(resident[name].batches(gathers), streamed[name].batches(gathers), strict=True)
        assert all(torch.equal(x, y) and torch.equal(labels, again) for (x, labels), (y, again) in both)


def test_the_whole_data_set_is_streamed_unless_there_is_room() -> None:
    config = MiniPlacesConfig()
    assert sum(miniplaces.WHOLE[1:]) * 3 * config.size**2 > config.resident_limit


@pytest.mark.parametrize("file", ["images/train/b/bar/00000001.jpg", "images/val/00000003.jpg"])
def test_the_digest_changes_with_any_image(tmp_path: Path, file: str) -> None:
    folder = write(tmp_path)
    before = load(tmp_path).info.digest
    (folder / file).write_bytes(jpeg(20))
    assert load(tmp_path).info.digest != before


def test_the_digest_changes_with_a_label(tmp_path: Path) -> None:
    folder = write(tmp_path)
    before = load(tmp_path).info.digest
    text = (folder / "val.txt").read_text()
    (folder / "val.txt").write_text(text.replace("00000000.jpg 1", "00000000.jpg 2"))
    assert load(tmp_path).info.digest != before


def test_more_images_than_there_are_is_an_error(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(PlanError, match="miniplaces: the training set has 18 images"):
        load(tmp_path, valid=18)


@pytest.mark.parametrize("file", ["categories.txt", "train.txt", "val.txt"])
def test_a_missing_list_says_what_to_put_where(tmp_path: Path, file: str) -> None:
    (write(tmp_path) / file).unlink()
    with pytest.raises(DataMissing, match=rf"no miniplaces/{file} in .* Put the challenge's categories\.txt"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("file", "content", "match"),
    [
        ("train.txt", "train/a/abbey/00000000.jpg\n", r"train\.txt is damaged"),
        ("val.txt", "val/00000000.jpg one\n", r"val\.txt is damaged"),
        ("val.txt", "", r"val\.txt has no images"),
        ("val.txt", "val/00000000.jpg 3\n", r"val\.txt has no images, or classes beside those listed"),
        ("images/val/00000004.jpg", "x" * 99, r"images/val/00000004\.jpg in .* is no image"),
        ("images/val/00000004.jpg", "", r"images/val/00000004\.jpg in .* is no image"),
    ],
)
@pytest.mark.parametrize("memory", ["resident", "stream"])
def test_a_damaged_file_is_named(tmp_path: Path, file: str, content: str, match: str, memory: str) -> None:
    (write(tmp_path) / file).write_text(content)
    with pytest.raises(DataMissing, match=match):
        load(tmp_path, memory=memory)


@pytest.mark.parametrize("memory", ["resident", "stream"])
def test_an_image_that_a_list_names_and_that_is_absent_is_named(tmp_path: Path, memory: str) -> None:
    (write(tmp_path) / "images" / "train" / "b" / "bar" / "00000002.jpg").unlink()
    with pytest.raises(DataMissing, match=r"train/b/bar/00000002\.jpg in .* cannot be read \(No such file"):
        load(tmp_path, memory=memory)


def test_an_image_that_is_cut_short_is_named(tmp_path: Path) -> None:
    file = write(tmp_path) / "images" / "val" / "00000002.jpg"
    file.write_bytes(file.read_bytes()[:-200])
    for memory in ("resident", "stream"):
        with pytest.raises(DataMissing, match=r"val/00000002\.jpg in .* is no image"):
            load(tmp_path, memory=memory)


def test_there_is_nothing_to_fetch_and_what_is_absent_is_told(tmp_path: Path) -> None:
    source = MiniPlaces(MiniPlacesConfig())
    with pytest.raises(DataMissing, match="Put the"):
        source.prunebench_downloads(tmp_path)
    write(tmp_path)
    assert source.prunebench_downloads(tmp_path) == []
