"""Resident splits of 28 x 28 digits, and the digest of their source."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from prunebench.api.data import Data, Resident
from prunebench.api.info import DataInfo
from prunebench.api.random import Rng

OWN = (0.1307,), (0.3081,)
"""Mean and spread of the 60,000 training images."""

UNIT = (0.0,), (1.0,)
"""What leaves pixels from 0 to 1."""

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Images (N, 28, 28) or (N, 784), and labels (N,)."""


def digest(*arrays: NDArray[np.uint8]) -> str:
    """sha256 over the sizes and bytes of arrays."""
    hasher = hashlib.sha256()
    for array in arrays:
        hasher.update(f"{array.shape}".encode())
        hasher.update(np.ascontiguousarray(array).data)
    return hasher.hexdigest()


def digits(
    name: str,
    source: str,
    files: Sequence[Path],
    parts: Mapping[str, Arrays],
    augment: Literal["none", "shift"],
    note: str = "",
    normalise: tuple[tuple[float, ...], tuple[float, ...]] = OWN,
    again: Callable[[Rng], Data] | None = None,
) -> Data:
    """Data from images and labels by split; only "train" is augmented, by up to 2 pixels each way for "shift".

    Args:
        source: the digest of the whole source, whatever the split.
        files: what it was read from.
        normalise: the mean and spread that images are brought to 0 and 1 by.
        again: see Data.
    """
    import torch  # not before the files are known to be there: an error about them needs none

    from prunebench_plugins.data.augmentation import pad_crop

    splits = {
        split: Resident(
            torch.from_numpy(np.array(images)).reshape(-1, 1, 28, 28),
            torch.from_numpy(labels.astype(np.int64)),
            *normalise,
            pad_crop(2) if split == "train" and augment == "shift" else None,
        )
        for split, (images, labels) in parts.items()
    }
    sizes = {split: resident.size for split, resident in splits.items()}
    return Data(DataInfo(name, source, sizes, (1, 28, 28), 10, note, tuple(map(str, files))), splits, again)
