"""A data set of four idx files: images and labels of a training and a test set. Source: the layout of MNIST."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prunebench import DataMissing
from prunebench.api.errors import DataUnusable
from prunebench_plugins.data._idx import read_idx
from prunebench_plugins.data._splits import Arrays


def read_pairs(
    name: str, root: Path, folders: Sequence[str], files: Iterable[str]
) -> tuple[list[Path], Arrays, Arrays]:
    """The files that were read, training images and labels, test images and labels; images are (N, 1, 28, 28).

    Args:
        name: of the data set, for errors.
        folders: below `root`, in order of preference.
        files: names of the training images, training labels, test images and test labels, without ".gz".
    Raises:
        DataMissing: a file is absent.
        DataUnusable: one is damaged, or does not fit the others.
    """
    paths = [_path(name, root, folders, file) for file in files]
    images, labels, test_images, test_labels = (_array(name, path) for path in paths)
    train = _pair(name, images, labels, paths[0])
    return paths, train, _pair(name, test_images, test_labels, paths[2])


def _path(name: str, root: Path, folders: Sequence[str], file: str) -> Path:
    for folder in folders:
        for suffix in ("", ".gz"):
            if (path := root / folder / f"{file}{suffix}").is_file():
                return path
    raise DataMissing(
        f"{name}: no {file} under {root}. Run `prunebench data fetch {name}`, or put the four idx files (.gz or "
        f"unpacked) into {folders[0]}/ there."
    )


def _array(name: str, path: Path) -> NDArray[np.uint8]:
    try:
        return read_idx(path, 3 if "idx3" in path.name else 1)
    except ValueError as error:
        raise DataUnusable(f"{name}: {path} is damaged: {error}. Delete it and fetch it again.") from error


def _pair(name: str, images: NDArray[np.uint8], labels: NDArray[np.uint8], path: Path) -> Arrays:
    if images.shape != (len(labels), 28, 28) or not len(labels) or labels.max() > 9:
        raise DataUnusable(
            f"{name}: {path} holds images of shape {images.shape} and the file beside it {len(labels):,} labels: these "
            f"are not 28 x 28 images that belong together. Run `prunebench data fetch {name}`."
        )
    return images[:, None], labels
