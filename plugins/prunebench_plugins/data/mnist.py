"""MNIST: 60,000 training and 10,000 test images of handwritten digits. Source: LeCun et al. 1998."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from prunebench import Component, ComponentConfig, DataMissing, PlanError, hookimpl
from prunebench.types import Download

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from prunebench.data import Data
    from prunebench.streams import Rng

MIRRORS = ("https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/")
FOLDERS = ("MNIST/raw", "MNIST", "mnist")
MD5 = {
    "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
    "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
    "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
    "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
}
"""Of the gzipped files."""


class MnistConfig(ComponentConfig):
    """What of the training images is used, and how.

    Args:
        valid: images held out of the training set, others for each seed.
        train: how many of the rest to train on; all of them if left out.
        augment: "shift" moves each training image by up to 2 pixels each way.
    """

    valid: int = Field(default=5_000, gt=0)
    train: int | None = Field(default=None, gt=0)
    augment: Literal["none", "shift"] = "none"


class Mnist:
    """Reads idx files, gzipped or not, from MNIST/raw/ (torchvision's layout), MNIST/ or mnist/."""

    def __init__(self, config: MnistConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_data(self, root: Path, rng: Rng) -> Data:
        """Train and valid from the training set, split by `rng`; all of the test set.

        Raises:
            DataMissing: a file is absent, damaged, or does not fit the others.
            PlanError: `valid` and `train` ask for more images than there are.
        """
        from prunebench_plugins.data._digits import digest, digits

        paths = [_path(root, name) for name in MD5]
        images, labels, test_images, test_labels = (_array(path) for path in paths)
        _check(images, labels, paths[0])
        _check(test_images, test_labels, paths[2])
        valid, total = self._config.valid, len(labels)
        train = total - valid if self._config.train is None else self._config.train
        if not 0 < train <= total - valid:
            raise PlanError(
                f"mnist: the training set has {total:,} images; valid = {valid} leaves {total - valid:,}, "
                f"and train = {train} of them cannot be used"
            )
        order = rng.permutation(total)
        parts = {
            "train": (images[order[valid : valid + train]], labels[order[valid : valid + train]]),
            "valid": (images[order[:valid]], labels[order[:valid]]),
            "test": (test_images, test_labels),
        }
        note = "" if train == total - valid else f"subset: {train:,} of {total - valid:,} training images"
        source = digest(images, labels, test_images, test_labels)
        return digits("mnist", source, paths, parts, self._config.augment, note)

    @hookimpl
    def prunebench_downloads(self, root: Path) -> Sequence[Download]:
        """The four files of the publishers' mirrors, into MNIST/raw/."""
        return [
            Download(tuple(f"{mirror}{name}.gz" for mirror in MIRRORS), f"md5:{md5}", root / FOLDERS[0] / f"{name}.gz")
            for name, md5 in MD5.items()
        ]


def _path(root: Path, name: str) -> Path:
    for folder in FOLDERS:
        for suffix in ("", ".gz"):
            if (path := root / folder / f"{name}{suffix}").is_file():
                return path
    raise DataMissing(
        f"mnist: no {name} under {root}. Run `prunebench data fetch mnist`, or put the four idx files (.gz or "
        f"unpacked) into {FOLDERS[0]}/ there."
    )


def _array(path: Path) -> NDArray[np.uint8]:
    from prunebench_plugins.data._idx import read_idx

    try:
        return read_idx(path, 3 if "idx3" in path.name else 1)
    except ValueError as error:
        raise DataMissing(f"mnist: {path} is damaged: {error}. Delete it and fetch it again.") from error


def _check(images: NDArray[np.uint8], labels: NDArray[np.uint8], path: Path) -> None:
    if images.shape != (len(labels), 28, 28) or (len(labels) and labels.max() > 9):
        raise DataMissing(
            f"mnist: {path} holds images of shape {images.shape} and the file beside it {len(labels):,} labels: these "
            "are not 28 x 28 digits that belong together. Run `prunebench data fetch mnist`."
        )


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `mnist`."""
    yield Component("mnist", MnistConfig, Mnist, version=1, paper="LeCun et al. 1998")
