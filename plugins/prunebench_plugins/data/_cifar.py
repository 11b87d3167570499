"""The binary records of CIFAR-10 and CIFAR-100: label bytes, then 3 x 32 x 32 pixels. Source: Krizhevsky 2009."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from prunebench.api.data import Data
from prunebench.api.downloads import Download
from prunebench.api.random import Rng
from prunebench_plugins.data._digits import digest
from prunebench_plugins.data._published import published
from prunebench_plugins.data._splits import Arrays, held_out, resident_data

PIXELS = 3 * 32 * 32


@dataclass(frozen=True)
class Published:
    """What the publisher offers.

    Args:
        sha1: of each file in `folder`; the last one is the test set.
        md5: of the archive.
        label_bytes: before the pixels of each image; the last of them is the label.
        normalisation: mean and standard deviation of each channel over the training images, scaled to 0..1.
    """

    name: str
    folder: str
    archive: str
    md5: str
    sha1: Mapping[str, str]
    label_bytes: int
    classes: int
    normalisation: tuple[tuple[float, ...], tuple[float, ...]]


def read(
    source: Published,
    root: Path,
    rng: Rng,
    valid: int,
    train: int | None,
    augment: Literal["none", "pad-crop-flip"],
    policy: str | None = None,
) -> Data:
    """Train and valid from the training set, split by `rng`; all of the test set.

    Raises:
        DataMissing: the files are absent, damaged or not the published ones.
        PlanError: `valid` and `train` ask for more images than there are.
    """
    found = published(source.name, root, source.folder, source.archive, source.sha1)
    # Not before the files are known to be there: an error about them needs no torch.
    from prunebench_plugins.data.augmentation import flip, in_turn, pad_crop, rand_augment

    *batches, test = (_arrays(content, source.label_bytes) for group in found.values() for content in group)
    images = np.concatenate([images for images, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    content, files = digest(images, labels, *test), list(found)
    changes = [pad_crop(4), flip] if augment == "pad-crop-flip" else []
    if policy is not None:
        changes.append(rand_augment(policy, source.normalisation[0]))
    change = in_turn(*changes) if changes else None

    def split(rng: Rng) -> Data:
        parts, note = held_out(source.name, (images, labels), valid, train, rng)
        parts["test"] = test
        return resident_data(
            source.name, content, files, parts, source.classes, source.normalisation, change, note, split
        )

    return split(rng)


def download(source: Published, root: Path) -> Download:
    """The publisher's archive, which is read without being unpacked."""
    url = f"https://www.cs.toronto.edu/~kriz/{source.archive}"
    return Download((url,), f"md5:{source.md5}", root / source.archive, 2**29)


def _arrays(content: bytes, label_bytes: int) -> Arrays:
    records = np.frombuffer(content, np.uint8).reshape(-1, label_bytes + PIXELS)
    return records[:, label_bytes:].reshape(-1, 3, 32, 32), records[:, label_bytes - 1]
