"""Data sets that timm reads: folders, tar files and torchvision's, with a digest of the pictures and their labels."""

from __future__ import annotations

import gc
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from pydantic import ValidationError

from prunebench.api.data import Data, in_order
from prunebench.api.errors import DataMissing, DataUnusable
from prunebench.api.random import Rng
from prunebench.components.catalogue import Catalogue
from prunebench.testing.inputs import DataContract
from prunebench_plugins.data.image_folder import ImageFolder, ImageFolderConfig
from prunebench_plugins.data.timm_ import TimmData, TimmDataConfig

SIZE = 12


@pytest.fixture(name="root")
def pets(tmp_path: Path) -> Path:
    generator = torch.Generator().manual_seed(1)
    for split, count in (("train", 5), ("validation", 2)):
        for name in ("cat", "dog"):
            folder = tmp_path / "pets" / split / name
            folder.mkdir(parents=True)
            for index in range(count):
                pixels = torch.randint(0, 256, (16 + index, 20, 3), generator=generator, dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).save(folder / f"{index}.png")
    return tmp_path


def data(root: Path, rng: Rng | None = None, **config: Any) -> Data:
    stated = {"path": "pets", "size": SIZE, "resize": 14, "valid": 2, **config}
    found: Data = TimmData(TimmDataConfig.model_validate(stated)).prunebench_data(root, rng or Rng("split"))
    return found


def tensors(found: Data, split: str) -> tuple[torch.Tensor, torch.Tensor]:
    ((inputs, targets),) = list(found[split].batches(in_order(found[split].size, 100)))
    return inputs, targets


class TestTimmData(DataContract):
    component = {"use": "timm-data", "path": "pets", "size": SIZE, "valid": 2}

    @pytest.fixture(autouse=True)
    def _made_up(self, root: Path) -> None:
        self._root = root

    def root(self) -> Path:
        return self._root


def test_a_folder_gives_what_image_folder_gives(root: Path) -> None:
    stated = {"path": "pets", "size": SIZE, "resize": 14, "valid": 2, "test_folder": "validation"}
    ours = ImageFolder(ImageFolderConfig.model_validate(stated)).prunebench_data(root, Rng("split"))
    found = data(root)
    assert found.info.class_names == ours.info.class_names == ("cat", "dog")
    assert dict(found.info.sizes) == dict(ours.info.sizes) == {"train": 8, "valid": 2, "test": 4}
    for split in ("train", "valid", "test"):
        for mine, theirs in zip(tensors(found, split), tensors(ours, split), strict=True):
            assert torch.equal(mine, theirs)


def test_resident_and_streamed_batches_are_bit_equal(root: Path) -> None:
    for split in ("train", "test"):
        held, streamed = (tensors(data(root, memory=memory), split) for memory in ("resident", "stream"))
        assert torch.equal(held[0], streamed[0])


def test_the_digest_follows_pictures_and_labels(root: Path) -> None:
    before = data(root).info.digest
    assert data(root, size=8, resize=None).info.digest == before  # of the source, not of how it is prepared
    (root / "pets" / "train" / "cat" / "0.png").rename(root / "pets" / "train" / "dog" / "9.png")
    assert data(root).info.digest != before


def test_torchvisions_folders_are_read(root: Path) -> None:
    found = data(root, name="torch/image_folder")
    assert found.info.class_names == ("cat", "dog")
    assert torch.equal(tensors(found, "test")[0], tensors(data(root), "test")[0])


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_tar_file_is_read(root: Path) -> None:
    # timm's reader leaves the archive open.
    for split in ("train", "validation"):
        with tarfile.open(root / f"{split}.tar", "w") as archive:
            archive.add(root / "pets" / split, arcname=".")
    found = data(root, path=".")
    assert found.info.sizes["train"] == 8
    assert found.info.classes == 2
    del found
    gc.collect()


def test_pictures_to_judge_by_are_never_those_to_learn_from(root: Path) -> None:
    with tarfile.open(root / "train.tar", "w") as archive:
        archive.add(root / "pets" / "train", arcname=".")
    with pytest.raises(DataUnusable, match="is one file for both splits"):
        data(root, path="train.tar")
    with pytest.raises(DataMissing, match='no "holdout" in'):
        data(root, test_split="holdout")


def test_what_is_not_there_says_how_it_gets_there(root: Path) -> None:
    with pytest.raises(DataMissing, match=r"Put the images into .*/none/train/CLASS/"):
        data(root, path="none")
    with pytest.raises(DataMissing, match=r'create_dataset\("torch/cifar10", root=.*download=True\)'):
        data(root, name="torch/cifar10")
    with pytest.raises(DataMissing, match="that can be read"):
        data(root, name="torch/no_such_set")


def test_a_damaged_picture_is_named(root: Path) -> None:
    (root / "pets" / "train" / "cat" / "0.png").write_bytes(b"no picture")
    with pytest.raises(DataUnusable, match='picture 0 of "train"'):
        data(root)


@pytest.mark.parametrize(
    "config", [{"path": "../x"}, {"name": "hfds/a; rm"}, {"size": 9, "resize": 8}, {"std": [0, 1, 1]}]
)
def test_bad_configurations_are_refused(config: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        TimmDataConfig.model_validate(config)


def test_below_data_timm_is_a_data_set_and_below_model_a_network() -> None:
    catalogue = Catalogue.load()
    assert catalogue.use({"use": "timm", "path": "x"}, slot="data").name == "timm-data"
    assert catalogue.use({"use": "timm", "name": "resnet18"}, slot="model").name == "timm"
