"""Any data set that timm reads: folders and tar files, torchvision's, Hugging Face's, TensorFlow's, WebDataset.

Source: Wightman 2019, PyTorch Image Models (timm.data.create_dataset).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import AfterValidator, Field, field_validator, model_validator

from prunebench import Component, ComponentConfig, DataMissing, hookimpl
from prunebench.api.downloads import Download
from prunebench.api.pretrained import Interpolation, Preprocessing
from prunebench_plugins.data._channels import Channels, positive

if TYPE_CHECKING:
    from prunebench.api.data import Data
    from prunebench.api.random import Rng

Share = Annotated[float, Field(gt=0, lt=1)]


class TimmDataConfig(ComponentConfig):
    """Which data set, and how its images are brought to one size.

    Args:
        name: as timm.data.create_dataset takes it: "" for a folder or tar file, "torch/cifar10", "hfds/OWNER/NAME",
            "wds/NAME", ...
        path: its root, below the data root; or anywhere for a path that begins with "/" or "~".
        train_split: what timm calls the training images.
        test_split: what it calls the test images.
        input_key, target_key: which fields of an example are read, where the data set has several.
        size: pixels of each side of what a model sees.
        resize: pixels that images are brought to before their middle is cut out; `size` if left out.
        crop: what is brought to `resize`: for "center" the shorter side, for "squash" both sides, whatever the ratio,
            for "border" the longer side, with a border beside the image.
        interpolation: how images are brought there.
        mean: of each channel of the images scaled to 0..1; those of ImageNet by default.
        std: likewise.
        valid: images held out of train, others for each seed: a number, or a share. 0: none, and no split "valid".
        train: how many of the rest to train on; all of them if left out.
        augment: "pad-crop-flip" pads each training image with an eighth of its size in zeros on all sides, crops it
            at a random place and mirrors it with probability 1/2; "resized-crop-flip" takes a random box of it.
        memory: "resident" holds all images on the device, "stream" decodes them when they are needed, "auto" does
            the former up to `resident_limit`. Data that is only read in sequence is always held.
        resident_limit: bytes of decoded images.
    """

    name: str = Field(default="", max_length=200, pattern=r"^[\w./\-]*$")
    path: str = Field(default="images", min_length=1)
    train_split: str = Field(default="train", min_length=1, max_length=100)
    test_split: str = Field(default="validation", min_length=1, max_length=100)
    input_key: str | None = Field(default=None, max_length=100)
    target_key: str | None = Field(default=None, max_length=100)
    size: int = Field(default=224, ge=1, le=4096)
    resize: int | None = Field(default=None, ge=1, le=4096)
    crop: Literal["center", "squash", "border"] = "center"
    interpolation: Interpolation = "bilinear"
    mean: Channels = (0.485, 0.456, 0.406)
    std: Annotated[Channels, AfterValidator(positive)] = (0.229, 0.224, 0.225)
    valid: Annotated[int, Field(ge=0, strict=True)] | Share = 0.1
    train: int | None = Field(default=None, gt=0)
    augment: Literal["none", "pad-crop-flip", "resized-crop-flip"] = "none"
    memory: Literal["auto", "resident", "stream"] = "auto"
    resident_limit: int = Field(default=4 * 2**30, ge=0)

    @field_validator("path")
    @classmethod
    def _below_the_root_or_anywhere(cls, path: str) -> str:
        anywhere = PurePosixPath(path).is_absolute() or path.startswith("~")
        if "\0" in path or (not anywhere and ".." in PurePosixPath(path).parts):
            raise ValueError(f'"{path}" is not a folder below the data root; one elsewhere begins with "/" or "~"')
        return path

    @model_validator(mode="after")
    def _fit(self) -> TimmDataConfig:
        if self.resize is not None and self.resize < self.size:
            raise ValueError(f"resize = {self.resize} is too small to cut {self.size} pixels out")
        return self

    def prepared_for(self, preprocessing: Preprocessing) -> TimmDataConfig:
        """See prunebench.api.pretrained.Adaptable."""
        from prunebench_plugins.data._adapted import adapted

        return adapted(self, preprocessing, "size", "resize", "crop", "mean", "std", "interpolation")


class TimmData:
    """Reads a data set through timm, without a network; the digest is of its pictures and labels."""

    def __init__(self, config: TimmDataConfig) -> None:
        self._config = config

    @hookimpl
    def prunebench_data(self, root: Path, rng: Rng) -> Data:
        """Train and valid from timm's training split, divided by `rng`; test from its test split.

        Raises:
            DataMissing: timm cannot read it there without a download; says how to bring it there.
            DataUnusable: an image is damaged, or test has classes that train lacks.
            PlanError: `valid` and `train` ask for more images than there are.
        """
        from prunebench_plugins.data._timm_read import read

        return read(self._config, self._place(root), rng)

    @hookimpl
    def prunebench_downloads(self, root: Path) -> Sequence[Download]:
        """Nothing: timm downloads by itself, where it can.

        Raises:
            DataMissing: says how.
        """
        from prunebench_plugins.data._timm_read import how_to_get

        raise DataMissing(f"timm-data: it downloads nothing here. {how_to_get(self._config, self._place(root))}")

    def _place(self, root: Path) -> Path:
        try:
            return root / Path(self._config.path).expanduser()
        except RuntimeError as error:
            raise DataMissing(f"timm-data: there is no {self._config.path} ({error})") from error


@hookimpl
def prunebench_components() -> Iterable[Component]:
    """Offer `timm-data`, which `[data]` also knows as `timm`."""
    yield Component("timm-data", TimmDataConfig, TimmData, version=1, paper="Wightman 2019")
