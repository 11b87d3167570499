"""CIFAR-10: 50,000 training and 10,000 test colour images of 32 x 32 pixels in ten classes.

Source: Krizhevsky 2009, Learning multiple layers of features from tiny images.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.downloads import Download
from prunebench_plugins.data._policies import Policy

if TYPE_CHECKING:
    from prunebench.api.data import Data
    from prunebench.api.random import Rng
    from prunebench_plugins.data._cifar import Published

FOLDER, ARCHIVE, MD5 = "cifar-10-batches-bin", "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530"
SHA1 = {
    "data_batch_1.bin": "aadd24acce27caa71bf4b10992e9e7b2d74c2540",
    "data_batch_2.bin": "c0ba65cce70568cd57b4e03e9ac8d2a5367c1795",
    "data_batch_3.bin": "1dd00a74ab1d17a6e7d73e185b69dbf31242f295",
    "data_batch_4.bin": "aab85764eb3584312d3c7f65fd2fd016e36a258e",
    "data_batch_5.bin": "26e2849e66a845b7f1e4614ae70f4889ae604628",
    "test_batch.bin": "67eb016db431130d61cd03c7ad570b013799c88c",
}
# Of the 50,000 training images.
MEAN, STD = (0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


class Cifar10Config(ComponentConfig):
    """What of the training images is used, and how.

    Args:
        valid: images held out of the training set, others for each seed; 0: none, and no split "valid".
        train: how many of the rest to train on; all of them if left out.
        augment: "pad-crop-flip" pads each training image with 4 zeros on all sides, crops it at a random place and
            mirrors it with probability 1/2.
        rand_augment: timm\'s policy of RandAugment, such as "rand-m9-mstd0.5-inc1", after `augment`; none if left out.
        normalise: by the mean and spread of the "own" training images, or by those of "imagenet", as published weights
            may want it.
    """

    later = frozenset({"rand_augment"})

    valid: int = Field(default=5_000, ge=0)
    train: int | None = Field(default=None, gt=0)
    augment: Literal["none", "pad-crop-flip"] = "none"
    rand_augment: Policy | None = None
    normalise: Literal["own", "imagenet"] = "own"


class Cifar10:
    """Reads the binary version from cifar-10-batches-bin/ or from the publisher's archive beside it."""

    def __init__(self, config: Cifar10Config) -> None:
        self._config = config

    @hookimpl
    def prunebench_data(self, root: Path, rng: Rng) -> Data:
        """Train and valid from the training set, split by `rng`; all of the test set.

        Raises:
            DataMissing: the files are absent, damaged or not the published ones.
            PlanError: `valid` and `train` ask for more images than there are.
        """
        from prunebench_plugins.data._cifar import read

        return read(
            _published(self._config.normalise),
            root,
            rng,
            self._config.valid,
            self._config.train,
            self._config.augment,
            self._config.rand_augment,
        )

    @hookimpl
    def prunebench_downloads(self, root: Path) -> Sequence[Download]:
        """The publisher's archive of the binary version; it is read as it is."""
        from prunebench_plugins.data._cifar import download

        return [download(_published("own"), root)]


def _published(normalise: Literal["own", "imagenet"]) -> Published:
    from prunebench_plugins.data._cifar import Published

    return Published("cifar10", FOLDER, ARCHIVE, MD5, SHA1, 1, 10, (MEAN, STD) if normalise == "own" else IMAGENET)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `cifar10`."""
    yield Component("cifar10", Cifar10Config, Cifar10, version=1, paper="Krizhevsky 2009")
