"""CIFAR-100: 50,000 training and 10,000 test colour images of 32 x 32 pixels in a hundred (fine) classes.

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

FOLDER, ARCHIVE, MD5 = "cifar-100-binary", "cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8"
SHA1 = {
    "train.bin": "e207cd2e05b73b1393c74c7f5e7bea451d63e08e",
    "test.bin": "8fb6623e830365ff53cf14adec797474f5478006",
}
# Of the 50,000 training images.
MEAN, STD = (0.5071, 0.4865, 0.4409), (0.2673, 0.2564, 0.2762)


class Cifar100Config(ComponentConfig):
    """What of the training images is used, and how.

    Args:
        valid: images held out of the training set, others for each seed; 0: none, and no split "valid".
        train: how many of the rest to train on; all of them if left out.
        augment: "pad-crop-flip" pads each training image with 4 zeros on all sides, crops it at a random place and
            mirrors it with probability 1/2.
        rand_augment: timm\'s policy of RandAugment, such as "rand-m9-mstd0.5-inc1", after `augment`; none if left out.
    """

    later = frozenset({"rand_augment"})

    valid: int = Field(default=5_000, ge=0)
    train: int | None = Field(default=None, gt=0)
    augment: Literal["none", "pad-crop-flip"] = "none"
    rand_augment: Policy | None = None


class Cifar100:
    """Reads the binary version from cifar-100-binary/ or from the publisher's archive beside it."""

    def __init__(self, config: Cifar100Config) -> None:
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
            _published(),
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

        return [download(_published(), root)]


def _published() -> Published:
    from prunebench_plugins.data._cifar import Published

    return Published("cifar100", FOLDER, ARCHIVE, MD5, SHA1, 2, 100, (MEAN, STD))


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `cifar100`."""
    yield Component("cifar100", Cifar100Config, Cifar100, version=1, paper="Krizhevsky 2009")
