"""Your own images: a folder for each split, and in it a folder for each class.

Source: the layout of the ImageNet training set, as torchvision's and timm's image folders read it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, field_validator, model_validator

from prunebench import Component, ComponentConfig, DataMissing, hookimpl
from prunebench.api.downloads import Download
from prunebench.api.pretrained import Interpolation, Preprocessing
from prunebench_plugins.data._policies import Policy

if TYPE_CHECKING:
    from prunebench.api.data import Augmentation, Data
    from prunebench.api.random import Rng
    from prunebench_plugins.data._class_folders import Copy

Share = Annotated[float, Field(gt=0, lt=1)]
Channels = tuple[float, float, float]


class ImageFolderConfig(ComponentConfig):
    """Which images, and how they are brought to one size.

    Args:
        path: the folder: below the data root, or anywhere for a path that begins with "/" or "~".
        size: pixels of each side of what a model sees.
        resize: pixels that images are brought to before their middle is cut out; `size` if left out.
        crop: what is brought to `resize`: for "center" the shorter side, for "squash" both sides, whatever the ratio,
            for "border" the longer side, with a border beside the image.
        mean: of each channel of the images scaled to 0..1; those of ImageNet by default.
        std: their standard deviations.
        train_folder: the folder of the training images.
        test_folder: the folder of the test images; ImageNet's is called "val".
        valid_folder: the folder of the validation images. If left out, they are held out of the training images.
        valid: how many are held out, others for each seed: a number, or a share of the training images. 0: none, and
            no split "valid".
        train: how many of the rest to train on; all of them if left out.
        augment: "pad-crop-flip" pads each training image with an eighth of its size in zeros on all sides, crops it
            at a random place and mirrors it with probability 1/2; "resized-crop-flip" takes a random box of it
            instead, as is usual for ImageNet; "random-resized-crop-flip" takes that box of the image as it is
            stored, while it is decoded, as torchvision and timm do: sharper and faster, and streamed only.
        background: what shows through where images are transparent; for "none" their stored colours are read, as
            torchvision and timm do.
        memory: "resident" holds all images on the device, "stream" decodes them when they are needed, "auto" does
            the former up to `resident_limit`. The numbers are the same.
        resident_limit: bytes of decoded images.
        interpolation: how images are brought to `resize`.
        rand_augment: timm's policy of RandAugment, such as "rand-m9-mstd0.5-inc1", after `augment`; none if left out.
    """

    later = frozenset({"interpolation", "rand_augment"})

    path: str = Field(default="images", min_length=1)
    size: int = Field(default=224, ge=1)
    resize: int | None = Field(default=None, ge=1)
    crop: Literal["center", "squash", "border"] = "center"
    mean: Channels = (0.485, 0.456, 0.406)
    std: Channels = (0.229, 0.224, 0.225)
    train_folder: str = "train"
    test_folder: str = "test"
    valid_folder: str | None = None
    valid: Annotated[int, Field(ge=0, strict=True)] | Share = 0.1
    train: int | None = Field(default=None, gt=0)
    augment: Literal["none", "pad-crop-flip", "resized-crop-flip", "random-resized-crop-flip"] = "none"
    background: Literal["none", "white", "black", "grey"] = "none"
    memory: Literal["auto", "resident", "stream"] = "auto"
    resident_limit: int = Field(default=4 * 2**30, ge=0)
    interpolation: Interpolation = "bilinear"
    rand_augment: Policy | None = None

    @field_validator("path")
    @classmethod
    def _below_the_root_or_anywhere(cls, path: str) -> str:
        anywhere = PurePosixPath(path).is_absolute() or path.startswith("~")
        if "\0" in path or (not anywhere and ".." in PurePosixPath(path).parts):
            raise ValueError(f'"{path}" is not a folder below the data root; one elsewhere begins with "/" or "~"')
        return path

    @field_validator("train_folder", "test_folder", "valid_folder")
    @classmethod
    def _below(cls, folder: str | None) -> str | None:
        parts = PurePosixPath(folder or ".").parts
        if folder is not None and ("\0" in folder or PurePosixPath(folder).is_absolute() or ".." in parts):
            raise ValueError(f'"{folder}" is not a folder below `path`')
        return folder

    @field_validator("std")
    @classmethod
    def _positive(cls, std: Channels) -> Channels:
        if min(std) <= 0:
            raise ValueError("a standard deviation must be positive")
        return std

    @model_validator(mode="after")
    def _fit(self) -> ImageFolderConfig:
        if self.resize is not None and self.resize < self.size:
            raise ValueError(f"resize = {self.resize} is too small to cut {self.size} pixels out")
        if self.augment == "random-resized-crop-flip" and self.memory == "resident":
            raise ValueError(
                f'augment = "{self.augment}" cuts images while they are decoded, so memory cannot be "resident"; write '
                '"stream"'
            )
        folders = [folder for folder in (self.train_folder, self.test_folder, self.valid_folder) if folder is not None]
        if len({PurePosixPath(folder) for folder in folders}) < len(folders):
            raise ValueError("train, test and validation images must be in different folders")
        return self

    def prepared_for(self, preprocessing: Preprocessing) -> ImageFolderConfig:
        """See prunebench.api.pretrained.Adaptable."""
        from prunebench_plugins.data._adapted import adapted

        return adapted(self, preprocessing, "size", "resize", "crop", "mean", "std", "interpolation")


class ImageFolder:
    """Reads PATH/FOLDER/CLASS/*.jpg (or .jpeg, .png, .bmp, .ppm, .pgm, .webp, .tif, .tiff), in folders below too."""

    def __init__(self, config: ImageFolderConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_data(self, root: Path, rng: Rng) -> Data:
        """Train, valid and test; classes are numbered in the order of the names of their folders.

        Raises:
            DataMissing: a folder, a class or an image is absent, or an image is damaged.
            PlanError: `valid` and `train` ask for more images than there are.
        """
        from prunebench_plugins.data._image_files import Listing, folders, image_data, is_resident, to_scale
        from prunebench_plugins.data._splits import held_out_places

        config, size = self._config, self._config.size
        copy = self._listed(root)
        # Not before what was listed is in order: an error about that needs no torch.
        from prunebench_plugins.data.augmentation import flip, in_turn, pad_crop, rand_augment, resized_crop

        train, own = copy.parts[config.train_folder], {"test": copy.parts[config.test_folder]}
        if config.valid_folder is not None:
            own["valid"] = copy.parts[config.valid_folder]
        whole = [train, *own.values()]
        if config.valid_folder is not None:
            valid = 0
        else:
            valid = config.valid if isinstance(config.valid, int) else max(1, round(config.valid * len(train)))
        places, note = held_out_places("image-folder", len(train), valid, config.train, rng)
        images = sum(map(len, places.values())) + sum(map(len, own.values()))

        def parts_of(rng: Rng) -> dict[str, Listing]:
            places, _ = held_out_places("image-folder", len(train), valid, config.train, rng)
            return {**{split: train.take(chosen) for split, chosen in places.items()}, **own}

        cut_boxes = config.augment == "random-resized-crop-flip"
        usual: dict[str, list[Augmentation]] = {
            "none": [],
            "pad-crop-flip": [pad_crop(size // 8), flip],
            "resized-crop-flip": [resized_crop, flip],
            "random-resized-crop-flip": [flip],
        }
        changes = usual[config.augment]
        if config.rand_augment is not None:
            changes = [*changes, rand_augment(config.rand_augment, config.mean)]
        return image_data(
            copy.source,
            folders(name for listing in whole for name in listing.names),
            whole,
            parts_of,
            rng,
            to_scale(size, config.resize or size, config.crop, config.interpolation),
            size,
            not cut_boxes and is_resident(config.memory, images, size, config.resident_limit),
            len(copy.classes),
            (config.mean, config.std),
            in_turn(*changes) if changes else None,
            [note, copy.left_out],
            config.background,
            cut_boxes,
            copy.classes,
        )

    @hookimpl
    def prunebench_downloads(self, root: Path) -> Sequence[Download]:
        """Nothing: the images are yours.

        Raises:
            DataMissing: they are not there.
        """
        self._listed(root)
        return []

    def _listed(self, root: Path) -> Copy:
        from prunebench_plugins.data._class_folders import listed

        config = self._config
        try:
            place = Path(config.path).expanduser()
        except RuntimeError as error:
            raise DataMissing(f"image-folder: there is no {config.path} ({error})") from error
        return listed(root / place, config.path, config.train_folder, config.test_folder, config.valid_folder)


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `image-folder`."""
    yield Component("image-folder", ImageFolderConfig, ImageFolder, version=2, paper="Deng et al. 2009 (the layout)")
