"""Data sets of image files: found in a folder or a zip archive, then held in memory or streamed."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Literal, NoReturn

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from prunebench import DataMissing
from prunebench.api.data import Augmentation, Data, Resident, Split
from prunebench.api.info import DataInfo
from prunebench.kernels.streaming import Streaming, ahead

Crop = Literal["center", "squash", "border"]
Memory = Literal["auto", "resident", "stream"]
ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND"}
"""What is found at the end of a whole file."""
TAIL = 1_024
"""Bytes in which the end is looked for: some programs write more behind it."""


@dataclass(frozen=True)
class Source(ABC):
    """Where image files are.

    Args:
        data: name of the data set, for errors.
        place: the folder or the archive.
        how: what to do where something is amiss.
    """

    data: str
    place: Path
    how: str

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The content of a file; may be called by several threads at a time."""

    @abstractmethod
    def stamped(self, names: Iterable[str]) -> list[Path]:
        """What holds `names` on disk: their sizes and times tell whether anything has changed."""


def missing(source: Source, what: str) -> NoReturn:
    """Raise DataMissing: what is amiss at the source, and what to do."""
    raise DataMissing(f"{source.data}: {what}. {source.how}")


@dataclass(frozen=True)
class Folder(Source):
    """Files below `place`, by their names relative to `base`."""

    base: Path

    def read(self, name: str) -> bytes:
        """See Source.read."""
        try:
            return (self.base / name).read_bytes()
        except OSError as error:
            missing(self, f"{name} in {self.place} cannot be read ({error.strerror})")

    def stamped(self, names: Iterable[str]) -> list[Path]:
        """See Source.stamped."""
        return [self.base / name for name in names]


@dataclass(frozen=True)
class Archive(Source):
    """Files in a zip archive, by their names in it. It stays open as long as this lives."""

    @cached_property
    def file(self) -> zipfile.ZipFile:
        """The archive; several threads may read from it."""
        try:
            return zipfile.ZipFile(self.place)
        except (zipfile.BadZipFile, OSError) as error:
            self._damaged(error)

    def read(self, name: str) -> bytes:
        """See Source.read."""
        try:
            return self.file.read(name)
        except (zipfile.BadZipFile, zlib.error, EOFError, KeyError) as error:
            self._damaged(error)

    def stamped(self, names: Iterable[str]) -> list[Path]:
        """See Source.stamped."""
        return [self.place]

    def _damaged(self, error: Exception) -> NoReturn:
        raise DataMissing(f"{self.data}: {self.place} is damaged ({error}). Delete it and fetch it again.") from error


@dataclass(frozen=True)
class Listing:
    """Image files in their order, and the label of each."""

    names: NDArray[np.object_]
    labels: NDArray[np.int64]

    @classmethod
    def of(cls, labels: Mapping[str, int]) -> Listing:
        """From labels by name, in their order."""
        return cls(np.array(list(labels), object), np.array(list(labels.values()), np.int64))

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, chosen: NDArray[np.int64]) -> Listing:
        """Those at some places."""
        return Listing(self.names[chosen], self.labels[chosen])


def folders(names: Iterable[str]) -> list[str]:
    """Every folder on the way to `names`; its time changes when an image is added or taken away."""
    return sorted({str(parent) for name in names for parent in PurePosixPath(name).parents} - {"."})


def digest(source: Source, listings: Sequence[Listing]) -> str:
    """sha256 over the names, labels, sizes and contents of all images.

    Raises:
        DataMissing: a file is absent, or does not begin and end as an image does.
    """
    found = hashlib.sha256()
    for listing in listings:
        for name, label, content in zip(
            listing.names, listing.labels.tolist(), ahead(source.read, listing.names), strict=True
        ):
            try:
                _look(content)
            except (OSError, SyntaxError, Image.DecompressionBombError) as error:
                missing(source, f"{name} in {source.place} is no image ({_why(error)})")
            found.update(f"{name} {label} {len(content)}\n".encode() + content)
    return found.hexdigest()


def _why(error: Exception) -> str:
    """What PIL says, without the address of the object that it was read from: equal errors are told once."""
    return "of no format that PIL knows" if isinstance(error, UnidentifiedImageError) else str(error)


def _look(content: bytes) -> None:
    """Raise what PIL raises unless this begins and ends as an image does; one without a known end is decoded."""
    with Image.open(io.BytesIO(content)) as image:
        end = ENDS.get(image.format or "")
        if end is None or end not in content[-TAIL:]:
            image.load()


def decoded(source: Source, name: str, finish: Callable[[Image.Image], Tensor]) -> Tensor:
    """The image of a file, (3, H, W) uint8.

    Raises:
        DataMissing: the file is absent, damaged, or `finish` raises ValueError.
    """
    content = source.read(name)
    try:
        with Image.open(io.BytesIO(content)) as image:
            # Of palettes with transparency, PIL asks for the detour.
            through = image.convert("RGBA") if image.mode == "P" and "transparency" in image.info else image
            # Some are grey.
            rgb = through.convert("RGB")
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataMissing(
            f"{source.data}: {name} in {source.place} is no image ({_why(error)}). {source.how}"
        ) from error
    try:
        return finish(rgb)
    except ValueError as error:
        missing(source, f"{name} in {source.place} {error}")


def scaled(size: int, resize: int, crop: Crop) -> Callable[[Image.Image], Tensor]:
    """timm's transform for measuring, up to uint8 (3, size, size).

    Args:
        size: pixels of each side.
        resize: pixels that the image is brought to before its middle is cut out: of its shorter side for the crop
            "center", of its longer side for "border" (grey is put beside it), of both for "squash".
        crop: see `resize`.
    """
    from timm.data.transforms_factory import create_transform

    # timm floors size / crop_pct; the half keeps rounding from taking a pixel.
    transform: Callable[[Image.Image], Tensor] = create_transform(
        (3, size, size),
        is_training=False,
        use_prefetcher=True,
        interpolation="bilinear",
        crop_pct=size / (resize + 0.5),
        crop_mode=crop,
    )
    return transform


def exactly(size: int) -> Callable[[Image.Image], Tensor]:
    """Images that have `size` x `size` pixels already; raises ValueError for others."""

    def finish(image: Image.Image) -> Tensor:
        if image.size != (size, size):
            raise ValueError(f"has {image.height} x {image.width} pixels, not {size} x {size}")
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()

    return finish


def is_resident(memory: Memory, images: int, size: int, limit: int) -> bool:
    """Whether images of `size` x `size` pixels are to be held in memory."""
    return memory == "resident" or (memory == "auto" and images * 3 * size * size <= limit)


def image_data(
    source: Source,
    lists: Sequence[str],
    whole: Sequence[Listing],
    parts: Mapping[str, Listing],
    finish: Callable[[Image.Image], Tensor],
    size: int,
    resident: bool,
    classes: int,
    normalisation: tuple[tuple[float, ...], tuple[float, ...]],
    augment: Augmentation | None,
    note: str,
) -> Data:
    """Data from image files; only "train" is augmented. Bit-equal batches whether `resident` or not.

    Args:
        source: where the files are.
        lists: what was read beside the images: lists of them, or folders in which every image counts.
        whole: everything that the digest is of, whatever the split.
        parts: the listing of each split.
        finish: what brings a decoded image to (3, size, size) uint8.
        size: pixels of each side.
        resident: hold all images in memory; else they are decoded when they are needed.
        classes: how many.
        normalisation: mean and standard deviation of each channel, of images scaled to 0..1.
        augment: of batches of "train".
        note: see DataInfo.
    Raises:
        DataMissing: a file is absent, cut short or no image; of a resident data set, or damaged anywhere.
    """
    mean, std = normalisation

    def split(name: str, listing: Listing) -> Split:
        labels, change = torch.from_numpy(listing.labels), augment if name == "train" else None

        def load(index: int) -> Tensor:
            return decoded(source, listing.names[index], finish)

        if not resident:
            return Streaming(load, labels, mean, std, change)
        images = torch.empty(len(listing), 3, size, size, dtype=torch.uint8)
        for index, image in enumerate(ahead(load, range(len(listing)))):
            images[index] = image
        return Resident(images, labels, mean, std, change)

    found = digest(source, whole)
    splits = {name: split(name, listing) for name, listing in parts.items()}
    files = source.stamped([*lists, *(name for listing in whole for name in listing.names)])
    sizes = {name: len(listing) for name, listing in parts.items()}
    info = DataInfo(source.data, found, sizes, (3, size, size), classes, note, tuple(map(str, files)))
    return Data(info, splits)
