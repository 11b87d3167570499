"""Fashion-MNIST: 60,000 training and 10,000 test grey images of ten kinds of clothes. Source: Xiao et al. 2017."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.downloads import Download

if TYPE_CHECKING:
    from prunebench.api.data import Data
    from prunebench.api.random import Rng

MIRRORS = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/",
)
FOLDERS = ("FashionMNIST/raw", "FashionMNIST", "fashion-mnist")
# MNIST's files have the same names, so a folder of that name is not looked into.
MD5 = {
    "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
    "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
    "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
    "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
}
"""Of the gzipped files."""
# Of the 60,000 training images.
MEAN, STD = (0.2860,), (0.3530,)


class FashionMnistConfig(ComponentConfig):
    """What of the training images is used, and how.

    Args:
        valid: images held out of the training set, others for each seed; 0: none, and no split "valid".
        train: how many of the rest to train on; all of them if left out.
        augment: "pad-crop-flip" pads each training image with 2 zeros on all sides, crops it at a random place and
            mirrors it with probability 1/2.
    """

    valid: int = Field(default=5_000, ge=0)
    train: int | None = Field(default=None, gt=0)
    augment: Literal["none", "pad-crop-flip"] = "none"


class FashionMnist:
    """Reads idx files, gzipped or not, from FashionMNIST/raw/ (as torchvision), FashionMNIST/ or fashion-mnist/."""

    def __init__(self, config: FashionMnistConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_data(self, root: Path, rng: Rng) -> Data:
        """Train and valid from the training set, split by `rng`; all of the test set.

        Raises:
            DataMissing: a file is absent, damaged, or does not fit the others.
            PlanError: `valid` and `train` ask for more images than there are.
        """
        from prunebench_plugins.data._digits import digest
        from prunebench_plugins.data._idx_files import read_pairs
        from prunebench_plugins.data._splits import held_out, resident_data

        config = self._config
        paths, train, test = read_pairs("fashion-mnist", root, FOLDERS, MD5)
        from prunebench_plugins.data.augmentation import flip, in_turn, pad_crop  # torch, once the files are there

        augment = in_turn(pad_crop(2), flip) if config.augment == "pad-crop-flip" else None
        source = digest(*train, *test)

        def split(rng: Rng) -> Data:
            parts, note = held_out("fashion-mnist", train, config.valid, config.train, rng)
            parts["test"] = test
            return resident_data("fashion-mnist", source, paths, parts, 10, (MEAN, STD), augment, note, split)

        return split(rng)

    @hookimpl
    def prunebench_downloads(self, root: Path) -> Sequence[Download]:
        """The four files of the publisher, into FashionMNIST/raw/."""
        return [
            Download(
                tuple(f"{mirror}{name}.gz" for mirror in MIRRORS), f"md5:{md5}", root / FOLDERS[0] / f"{name}.gz", 2**26
            )
            for name, md5 in MD5.items()
        ]


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `fashion-mnist`."""
    yield Component("fashion-mnist", FashionMnistConfig, FashionMnist, version=1, paper="Xiao et al. 2017")
