"""A publisher's training images become train and valid; its test images stay the test split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from prunebench import PlanError
from prunebench.api.data import Augmentation, Data, Resident
from prunebench.api.info import DataInfo
from prunebench.api.random import Rng

Arrays = tuple[NDArray[np.uint8], NDArray[np.uint8]]
"""Images (N, C, H, W) and labels (N,)."""


def held_out(name: str, source: Arrays, valid: int, train: int | None, rng: Rng) -> tuple[dict[str, Arrays], str]:
    """The splits "train" and "valid" of a training set, others for each `rng`, and the note that names a subset.

    Args:
        name: of the data set, for the error.
        valid: see `held_out_places`.
        train: likewise.
    Raises:
        PlanError: that many images are not there.
    """
    images, labels = source
    chosen, note = held_out_places(name, len(labels), valid, train, rng)
    return {split: (images[index], labels[index]) for split, index in chosen.items()}, note


def held_out_places(
    name: str, images: int, valid: int, train: int | None, rng: Rng
) -> tuple[dict[str, NDArray[np.int64]], str]:
    """Where the images of "train" and "valid" are in a training set, and the note that names a subset.

    Args:
        name: of the data set, for the error.
        images: how many the training set has.
        valid: images held out for validation; the same ones whatever `train` is. 0: there is no split "valid".
        train: how many of the rest to train on; all of them for None.
    Raises:
        PlanError: that many images are not there.
    """
    rest = images - valid
    used = rest if train is None else train
    if not 0 < used <= rest:
        more = "" if train is None or rest <= 0 else f", and train = {train:,} asks for more"
        raise PlanError(
            f"{name}: the training set has {images:,} images; valid = {valid:,} leaves {max(rest, 0):,}{more}; state "
            f"a smaller `{'train' if more else 'valid'}`"
        )
    order = rng.permutation(images)
    note = "" if used == rest else f"subset: {used:,} of {rest:,} training images"
    places = {"train": order[valid : valid + used], "valid": order[:valid]}
    return {split: chosen for split, chosen in places.items() if len(chosen)}, note


def of_a_copy(there: tuple[int, int, int], whole: tuple[int, int, int], note: str) -> str:
    """The note of a data set, with what its copy lacks of the published classes, training and test images."""
    if there == whole:
        return note
    copy = f"subset: the copy has {there[1]:,} of {whole[1]:,} training and {there[2]:,} of {whole[2]:,} test images"
    return f"{copy}; {note}" if note else copy


def resident_data(
    name: str,
    source: str,
    files: Sequence[Path],
    parts: Mapping[str, Arrays],
    classes: int,
    normalisation: tuple[tuple[float, ...], tuple[float, ...]],
    augment: Augmentation | None,
    note: str,
    again: Callable[[Rng], Data] | None = None,
) -> Data:
    """Data from images and labels by split; only "train" is augmented.

    Args:
        source: the digest of the whole source, whatever the split.
        files: what it was read from.
        normalisation: mean and standard deviation of each channel, of images scaled to 0..1.
        again: see Data.
    """
    import torch  # not before the files are known to be there: an error about them needs none

    mean, std = normalisation
    splits = {
        split: Resident(
            # A copy: torch warns of an array that cannot be written, as those read from files.
            torch.from_numpy(np.array(images)),
            torch.from_numpy(labels.astype(np.int64)),
            mean,
            std,
            augment if split == "train" else None,
        )
        for split, (images, labels) in parts.items()
    }
    channels, height, width = parts["test"][0].shape[1:]
    sizes = {split: resident.size for split, resident in splits.items()}
    info = DataInfo(name, source, sizes, (channels, height, width), classes, note, tuple(map(str, files)))
    return Data(info, splits, again)
