"""MiniPlaces: 100,000 training and 10,000 labelled validation images of 128 x 128 pixels of 100 kinds of places.

The official test set has no labels: the official validation images are the test split here, and "valid" is held out of
train. Source: the MiniPlaces challenge (Zhou et al. 2017, Places; MIT 6.869).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from prunebench import Component, ComponentConfig, DataMissing, hookimpl
from prunebench.api.downloads import Download
from prunebench.api.errors import DataUnusable

if TYPE_CHECKING:
    from prunebench.api.data import Data
    from prunebench.api.random import Rng

FOLDER, IMAGES = "miniplaces", "images"
LISTS = ("train.txt", "val.txt")
"""The lists of images."""
WHOLE = (100, 100_000, 10_000)
"""Classes, training images, validation images."""
# The mean of the challenge's starter kit, and the deviation over 2,000 of the training images.
MEAN, STD = (0.4583, 0.4467, 0.4135), (0.2570, 0.2531, 0.2733)
HOW = (
    f"Put the challenge's categories.txt, train.txt and val.txt into {FOLDER}/ there, and its images, which the lists "
    f"name, into {FOLDER}/{IMAGES}/; no checksum of them is published, so they are not fetched."
)


class MiniPlacesConfig(ComponentConfig):
    """What of the training images is used, and how.

    Args:
        valid: images held out of the official training set, others for each seed; 0: none, and no split "valid".
        train: how many of the rest to train on; all of them if left out.
        size: pixels of each side; images that have another size are scaled. The published ones have 128.
        augment: "pad-crop-flip" pads each training image with an eighth of its size in zeros on all sides, crops it
            at a random place and mirrors it with probability 1/2; "resized-crop-flip" takes a random box of it
            instead, as is usual for ImageNet.
        subset: accept a copy with fewer images than the official one; the results name it.
        memory: "resident" holds all images on the device, "stream" decodes them when they are needed, "auto" does
            the former up to `resident_limit`. The numbers are the same.
        resident_limit: bytes of decoded images.
    """

    valid: int = Field(default=10_000, ge=0)
    train: int | None = Field(default=None, gt=0)
    size: int = Field(default=128, ge=8)
    augment: Literal["none", "pad-crop-flip", "resized-crop-flip"] = "none"
    subset: bool = False
    memory: Literal["auto", "resident", "stream"] = "auto"
    resident_limit: int = Field(default=4 * 2**30, ge=0)


class MiniPlaces:
    """Reads miniplaces/ below the data root: the challenge's lists, and the images that they name in images/."""

    def __init__(self, config: MiniPlacesConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_data(self, root: Path, rng: Rng) -> Data:
        """Train and valid from the official training set, split by `rng`; test is the official validation set.

        Raises:
            DataMissing: the images are absent or damaged, or fewer than the official ones without `subset = true`.
            PlanError: `valid` and `train` ask for more images than there are.
        """
        from prunebench_plugins.data._image_files import Folder, Listing, image_data, is_resident, to_scale
        from prunebench_plugins.data._splits import held_out_places, of_a_copy

        config, size = self._config, self._config.size
        lists = [f"{FOLDER}/{name}" for name in ("categories.txt", *LISTS)]
        classes, train, test = (_listed(root, name) for name in lists)
        there = (len(classes), len(train), len(test))
        if there != WHOLE and not config.subset:
            raise DataUnusable(
                f"miniplaces: {root / FOLDER} lists {there[0]} classes, {there[1]:,} training and {there[2]:,} "
                f"validation images of {WHOLE[0]}, {WHOLE[1]:,} and {WHOLE[2]:,}. {HOW} Or say `subset = true` in the "
                "file to use this copy as it is."
            )
        for name, labels in zip(lists[1:], (train, test), strict=True):
            if not labels or set(labels.values()) - set(classes.values()):
                raise DataUnusable(f"miniplaces: {root / name} has no images, or classes beside those listed. {HOW}")
        # Not before what was listed is in order: an error about that needs no torch.
        from prunebench_plugins.data.augmentation import flip, in_turn, pad_crop, resized_crop

        places, note = held_out_places("miniplaces", len(train), config.valid, config.train, rng)
        whole = [Listing.of({f"{IMAGES}/{name}": label for name, label in part.items()}) for part in (train, test)]
        images = sum(map(len, places.values())) + len(test)

        def parts_of(rng: Rng) -> dict[str, Listing]:
            places, _ = held_out_places("miniplaces", len(train), config.valid, config.train, rng)
            return {**{split: whole[0].take(chosen) for split, chosen in places.items()}, "test": whole[1]}

        crop = {"none": None, "pad-crop-flip": pad_crop(size // 8), "resized-crop-flip": resized_crop}[config.augment]
        folder = root / FOLDER
        return image_data(
            Folder("miniplaces", folder, HOW, folder),
            [Path(name).name for name in lists],
            whole,
            parts_of,
            rng,
            to_scale(size, size, "center"),
            size,
            is_resident(config.memory, images, size, config.resident_limit),
            len(classes),
            (MEAN, STD),
            None if crop is None else in_turn(crop, flip),
            [of_a_copy(there, WHOLE, note)],
        )

    @hookimpl
    def prunebench_downloads(self, root: Path) -> Sequence[Download]:
        """Nothing: no checksum is published.

        Raises:
            DataMissing: the lists are not there; says what to put where.
        """
        _listed(root, f"{FOLDER}/val.txt")
        return []


def _listed(root: Path, name: str) -> Mapping[str, int]:
    """The number behind each name of an official list."""
    path = root / name
    if not path.is_file():
        raise DataMissing(f"miniplaces: no {name} in {root}. {HOW}")
    try:
        rows = [line.rsplit(maxsplit=1) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
        found = {entry: int(label) for entry, label in rows}
    except PermissionError:
        raise
    except (OSError, ValueError) as error:
        raise DataUnusable(f"miniplaces: {path} is damaged: its lines are not a name and a number. {HOW}") from error
    for entry in found if name.endswith(LISTS) else ():
        if PurePosixPath(entry).is_absolute() or ".." in PurePosixPath(entry).parts:
            raise DataUnusable(f"miniplaces: {path} names {entry!r}, which is not below {IMAGES}/. {HOW}")
    return found


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `miniplaces`."""
    yield Component("miniplaces", MiniPlacesConfig, MiniPlaces, version=1, paper="Zhou et al. 2017")
