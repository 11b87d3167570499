"""MNIST: 60,000 training and 10,000 test images of handwritten digits. Source: LeCun et al. 1998."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.downloads import Download

if TYPE_CHECKING:
    from prunebench.api.data import Data
    from prunebench.api.random import Rng

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
        valid: images held out of the training set, others for each seed; 0: none, and no split "valid".
        train: how many of the rest to train on; all of them if left out.
        augment: "shift" moves each training image by up to 2 pixels each way.
        normalise: by the mean and spread of the "own" training images, or "none": pixels from 0 to 1. Learning rates
            are not the same for both: plain SGD at 0.8 trains LeNet on the latter and diverges on the former.
    """

    valid: int = Field(default=5_000, ge=0)
    train: int | None = Field(default=None, gt=0)
    augment: Literal["none", "shift"] = "none"
    normalise: Literal["own", "none"] = "own"

    @model_serializer(mode="wrap")
    def _without_the_default(self, rest: SerializerFunctionWrapHandler) -> dict[str, Any]:
        # the field is younger than leaderboards whose keys must stand
        fields: dict[str, Any] = rest(self)
        return {name: value for name, value in fields.items() if (name, value) != ("normalise", "own")}


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
        from prunebench_plugins.data._digits import OWN, UNIT, digest, digits
        from prunebench_plugins.data._idx_files import read_pairs
        from prunebench_plugins.data._splits import held_out

        config = self._config
        paths, train, test = read_pairs("mnist", root, FOLDERS, MD5)
        # As the files have them, without the axis of the one channel.
        source = digest(train[0][:, 0], train[1], test[0][:, 0], test[1])
        spread = OWN if config.normalise == "own" else UNIT

        def split(rng: Rng) -> Data:
            parts, note = held_out("mnist", train, config.valid, config.train, rng)
            parts["test"] = test
            return digits("mnist", source, paths, parts, config.augment, note, spread, split)

        return split(rng)

    @hookimpl
    def prunebench_downloads(self, root: Path) -> Sequence[Download]:
        """The four files of the publishers' mirrors, into MNIST/raw/."""
        return [
            Download(
                tuple(f"{mirror}{name}.gz" for mirror in MIRRORS), f"md5:{md5}", root / FOLDERS[0] / f"{name}.gz", 2**26
            )
            for name, md5 in MD5.items()
        ]


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `mnist`."""
    yield Component("mnist", MnistConfig, Mnist, version=1, paper="LeCun et al. 1998")
