"""Tiny ImageNet: 100,000 training and 10,000 labelled validation images of 64 x 64 pixels in 200 classes.

The official test set has no labels: the official validation images are the test split here, and "valid" is held out of
train. Source: Le & Yang 2015 (Stanford CS231N), from Russakovsky et al. 2015.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.downloads import Download
from prunebench.api.errors import DataUnusable
from prunebench.api.pretrained import Interpolation, Preprocessing
from prunebench_plugins.data._channels import Channels, positive
from prunebench_plugins.data._policies import Policy

if TYPE_CHECKING:
    from prunebench.api.data import Data
    from prunebench.api.random import Rng

ARCHIVE, MD5 = "tiny-imagenet-200.zip", "90528d7ca1a48142e341f4ef8d21d0de"
WHOLE = (200, 100_000, 10_000)
"""Classes, training images, validation images."""
SIZE = 64
# Of the 100,000 training images.
MEAN, STD = (0.4802, 0.4481, 0.3975), (0.2770, 0.2691, 0.2821)


class TinyImageNetConfig(ComponentConfig):
    """What of the training images is used, and how.

    Args:
        valid: images held out of the official training set, others for each seed; 0: none, and no split "valid".
        train: how many of the rest to train on; all of them if left out.
        augment: "pad-crop-flip" pads each training image with an eighth of its size in zeros on all sides, crops it at
            a random place and mirrors it with probability 1/2; "resized-crop-flip" takes a random box of it instead, as
            is usual for ImageNet.
        subset: accept a copy with fewer images than the official one; the results name it.
        memory: "resident" holds all images on the device, "stream" decodes them when they are needed, "auto" does
            the former up to `resident_limit`. The numbers are the same.
        resident_limit: bytes of decoded images.
        size: pixels of each side that images are brought to, such as the 224 that a network was trained with.
        mean, std: of each channel of the images scaled to 0..1; those of the training images if left out.
        resize: pixels of each side that images are brought to before their middle is cut out; `size` if left out.
        interpolation: how they are brought there.
        rand_augment: timm's policy of RandAugment, such as "rand-m9-mstd0.5-inc1", after `augment`; none if left out.
        test: how many of the official validation images are measured, at even distances; all of them if left out.
    """

    later = frozenset({"size", "mean", "std", "test", "rand_augment", "resize", "interpolation"})

    valid: int = Field(default=10_000, ge=0)
    train: int | None = Field(default=None, gt=0)
    augment: Literal["none", "pad-crop-flip", "resized-crop-flip"] = "none"
    subset: bool = False
    memory: Literal["auto", "resident", "stream"] = "auto"
    resident_limit: int = Field(default=4 * 2**30, ge=0)
    size: int = Field(default=SIZE, ge=8, le=1024)
    mean: Channels = MEAN
    std: Annotated[Channels, AfterValidator(positive)] = STD
    test: int | None = Field(default=None, gt=0)
    rand_augment: Policy | None = None
    resize: int | None = Field(default=None, ge=8, le=1024)
    interpolation: Interpolation = "bilinear"

    @model_validator(mode="after")
    def _fit(self) -> TinyImageNetConfig:
        if self.resize is not None and self.resize < self.size:
            raise ValueError(f"resize = {self.resize} is too small to cut {self.size} pixels out")
        return self

    def prepared_for(self, preprocessing: Preprocessing) -> TinyImageNetConfig:
        """See prunebench.api.pretrained.Adaptable; images are square, so the ways to crop are one."""
        from prunebench_plugins.data._adapted import adapted

        return adapted(self, preprocessing, "size", "resize", "mean", "std", "interpolation")


class TinyImageNet:
    """Reads tiny-imagenet-200/ in its official layout, or the publisher's archive beside it."""

    def __init__(self, config: TinyImageNetConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_data(self, root: Path, rng: Rng) -> Data:
        """Train and valid from the official training set, split by `rng`; test is the official validation set.

        Raises:
            DataMissing: the images are absent or damaged, or fewer than the official ones without `subset = true`.
            PlanError: `valid` and `train` ask for more images than there are.
        """
        import numpy as np

        from prunebench_plugins.data._image_files import Listing, exactly, image_data, is_resident, to_scale
        from prunebench_plugins.data._splits import held_out_places, of_a_copy
        from prunebench_plugins.data._tinyimagenet import listed

        config = self._config
        found = listed(root, ARCHIVE)
        there = (len(found.names), len(found.train), len(found.test))
        if there != WHOLE and not config.subset:
            classes, train, test = there
            raise DataUnusable(
                f"tinyimagenet: {found.source.place} holds {classes} classes, {train:,} training and {test:,} "
                f"validation images of {WHOLE[0]}, {WHOLE[1]:,} and {WHOLE[2]:,}. Run `prunebench data fetch "
                "tinyimagenet`, or say `subset = true` in the file to use this copy as it is."
            )
        # Not before what was listed is in order: an error about that needs no torch.
        from prunebench_plugins.data.augmentation import flip, in_turn, pad_crop, rand_augment, resized_crop

        places, note = held_out_places("tinyimagenet", len(found.train), config.valid, config.train, rng)
        crop = {"none": None, "pad-crop-flip": pad_crop(config.size // 8), "resized-crop-flip": resized_crop}[
            config.augment
        ]
        changes = [] if crop is None else [crop, flip]
        if config.rand_augment is not None:
            changes.append(rand_augment(config.rand_augment, config.mean))
        judged, notes = found.test, [of_a_copy(there, WHOLE, note)]
        if config.test is not None and config.test < len(judged):
            judged = judged.take(np.arange(config.test) * len(judged) // config.test)
            notes.append(f"{config.test:,} of {len(found.test):,} test images")

        def parts_of(rng: Rng) -> dict[str, Listing]:
            places, _ = held_out_places("tinyimagenet", len(found.train), config.valid, config.train, rng)
            return {**{split: found.train.take(chosen) for split, chosen in places.items()}, "test": judged}

        images = sum(map(len, places.values())) + len(judged)
        return image_data(
            found.source,
            found.lists,
            (found.train, found.test),
            parts_of,
            rng,
            exactly(SIZE)
            if (config.size, config.resize) == (SIZE, None)
            else to_scale(config.size, config.resize or config.size, "squash", config.interpolation),
            config.size,
            is_resident(config.memory, images, config.size, config.resident_limit),
            len(found.names),
            (config.mean, config.std),
            in_turn(*changes) if changes else None,
            notes,
            class_names=found.names,
        )

    @hookimpl
    def prunebench_downloads(self, root: Path) -> Sequence[Download]:
        """The publisher's archive; it is read as it is."""
        return [Download((f"http://cs231n.stanford.edu/{ARCHIVE}",), f"md5:{MD5}", root / ARCHIVE, 2**30)]


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `tinyimagenet`."""
    yield Component("tinyimagenet", TinyImageNetConfig, TinyImageNet, version=1, paper="Le & Yang 2015")
