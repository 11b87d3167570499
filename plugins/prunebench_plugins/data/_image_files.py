"""Data sets of image files: found in a folder or a zip archive, then held in memory or streamed."""

from __future__ import annotations

import hashlib
import os
import stat
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any, Literal, NoReturn

import numpy as np
import PIL
from numpy.typing import NDArray
from PIL import Image

from prunebench.api.data import Augmentation, Data, Resident, Split
from prunebench.api.errors import DataUnusable
from prunebench.api.info import DataInfo
from prunebench.api.pretrained import Interpolation
from prunebench.api.random import Rng
from prunebench.api.untrusted_text import printable
from prunebench.kernels.file_facts import remembered
from prunebench_plugins.data._pictures import BYTES, PIXELS, Background, Check, PictureError, examine, rgb

# Nothing here imports torch before the files are known to be there: an error about them needs none.
if TYPE_CHECKING:
    from torch import Tensor

Crop = Literal["center", "squash", "border"]
Memory = Literal["auto", "resident", "stream"]
DIGEST = 2
"""Raised when what is examined of an image changes, so that what an earlier version found is not taken for it."""
SYSTEM = ("__MACOSX",)
"""Folders that programs leave behind, as they do hidden ones."""


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
    def names(self) -> list[str]:
        """The names of all files but hidden ones and those in hidden folders; in no order."""

    @abstractmethod
    def read(self, name: str) -> bytes:
        """The content of a file; may be called by several threads at a time."""

    @abstractmethod
    def stamped(self, names: Iterable[str]) -> list[str]:
        """What holds `names` on disk: their sizes and times tell whether anything has changed."""


def missing(source: Source, what: str, because: Exception | None = None) -> NoReturn:
    """Raise DataUnusable: what is amiss at the source, and what to do."""
    how = "Make it readable and run again." if isinstance(because, PermissionError) else source.how
    raise DataUnusable(f"{source.data}: {printable(what)}. {how}") from because


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_hidden(name: str) -> bool:
    """Whether a file or folder of this name is left out wherever it stands."""
    return name.startswith(".") or name in SYSTEM


@dataclass(frozen=True)
class Folder(Source):
    """Files below `place`, by their names relative to `base`."""

    base: Path

    def names(self) -> list[str]:
        """See Source.names; links are followed.

        Raises:
            DataUnusable: a folder cannot be read, a link leads nowhere or in a circle, or a name is no text.
        """
        start = "" if self.place == self.base else f"{self.place.relative_to(self.base).as_posix()}/"
        return list(self._below(self.place, start, ()))

    def _below(self, folder: Path, prefix: str, around: tuple[tuple[int, int], ...]) -> Iterator[str]:
        try:
            own = folder.stat()
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            missing(self, f"{folder} cannot be read ({error.strerror})", error)
        if (own.st_dev, own.st_ino) in around:
            missing(self, f"{folder} is a link to a folder that it lies in")
        for entry in entries:
            if is_hidden(entry.name):
                continue
            name = prefix + entry.name
            if not _is_text(name):
                missing(self, f"the name of {name} in {self.place} is not in UTF-8: rename it")
            if entry.is_symlink() and not Path(entry.path).exists():
                missing(self, f"{name} in {self.place} is a link to nothing")
            if entry.is_dir():
                yield from self._below(Path(entry.path), f"{name}/", (*around, (own.st_dev, own.st_ino)))
            elif entry.is_file():
                yield name
            else:  # a pipe would be waited on for ever, and left out it would be an image less without a word
                missing(self, f"{name} in {self.place} is no file but a pipe, a socket or a device")

    def read(self, name: str) -> bytes:
        """See Source.read."""
        try:
            found = os.stat(self.base / name)
            if not stat.S_ISREG(found.st_mode):
                missing(self, f"{name} in {self.place} is no file")
            if found.st_size > BYTES:
                missing(self, f"{name} in {self.place} has {found.st_size:,} bytes; at most {BYTES:,} are read")
            return (self.base / name).read_bytes()
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or error
            missing(self, f"{name} in {self.place} cannot be read ({why})", error)

    def stamped(self, names: Iterable[str]) -> list[str]:
        """See Source.stamped."""
        base = f"{self.base}{os.sep}"  # a Path for each of a million names would take seconds
        return [base + name for name in names]


@dataclass(frozen=True)
class Archive(Source):
    """Files in a zip archive, by their names in it. It stays open as long as this lives."""

    @cached_property
    def file(self) -> zipfile.ZipFile:
        """The archive; several threads may read from it."""
        try:
            return zipfile.ZipFile(self.place)
        except (zipfile.BadZipFile, OSError, ValueError) as error:
            self._damaged(error)

    def names(self) -> list[str]:
        """See Source.names."""
        every = (info.filename for info in self.file.infolist() if not info.is_dir())
        return [name for name in every if not any(map(is_hidden, PurePosixPath(name).parts))]

    def read(self, name: str) -> bytes:
        """See Source.read."""
        try:
            size = self.file.getinfo(name).file_size
            if size > BYTES:
                missing(self, f"{name} in {self.place} has {size:,} bytes; at most {BYTES:,} are read")
            with self.file.open(name) as member:
                return member.read(BYTES)
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            KeyError,
            OSError,
            RuntimeError,
            NotImplementedError,
        ) as error:
            self._damaged(error)

    def stamped(self, names: Iterable[str]) -> list[str]:
        """See Source.stamped."""
        return [str(self.place)]

    def _damaged(self, error: Exception) -> NoReturn:
        raise DataUnusable(f"{self.data}: {self.place} is damaged ({error}). Delete it and fetch it again.") from error


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
    parents = map(PurePosixPath, {name.rpartition("/")[0] for name in names})
    return sorted({str(folder) for parent in parents for folder in (parent, *parent.parents)} - {"."})


@dataclass(frozen=True)
class Finish:
    """What brings a decoded picture to uint8 (3, size, size), and which sizes of pictures it takes."""

    transform: Callable[[Image.Image], Tensor]
    check: Check
    key: str
    """What stands for `check`."""


@dataclass(frozen=True)
class Facts:
    """What looking at every image gave: the digest of them all, and how many of a kind that is worth a note."""

    digest: str
    remarks: Mapping[str, int]


def facts(source: Source, listings: Sequence[Listing], stamped: Sequence[str], finish: Finish, thorough: bool) -> Facts:
    """sha256 over the names, labels, sizes and contents of all images; remembered while the files stand.

    Args:
        stamped: what holds them on disk.
        finish: says which sizes of pictures are taken.
        thorough: see `examine`.
    Raises:
        DataUnusable: a file is absent, does not begin and end as an image does, or is not taken; nothing is decoded.
    """
    asked = hashlib.sha256(f"{DIGEST} {PIL.__version__} {source.data} {finish.key} {thorough}\n".encode())
    for listing in listings:
        lines = (f"{name!r} {label}\n" for name, label in zip(listing.names, listing.labels.tolist(), strict=True))
        asked.update("".join(lines).encode())
    found = remembered(
        f"{source.place} {asked.hexdigest()}", stamped, lambda: _facts(source, listings, finish.check, thorough)
    )
    return Facts(found["digest"], found["remarks"])


def _facts(source: Source, listings: Sequence[Listing], check: Check, thorough: bool) -> dict[str, Any]:
    from prunebench.kernels.streaming import ahead

    found, remarks = hashlib.sha256(), Counter[str]()

    def look(name: str) -> tuple[bytes, list[str]]:
        content = source.read(name)
        try:
            return content, examine(content, check, thorough)
        except PictureError as error:
            missing(source, f"{name} in {source.place} {error}", error)

    for listing in listings:
        for name, label, (content, seen) in zip(
            listing.names, listing.labels.tolist(), ahead(look, listing.names), strict=True
        ):
            found.update(f"{name} {label} {len(content)}\n".encode() + content)
            remarks.update(seen)
    return {"digest": found.hexdigest(), "remarks": dict(sorted(remarks.items()))}


def remarked(remarks: Mapping[str, int], background: Background) -> list[str]:
    """What the note of a data set says of its pictures."""
    stored = "their stored colours are read" if background == "none" else f"they are shown on {background}"
    said = {
        "transparent": f"have a channel of transparency: {stored}",
        "several": "hold several pictures: the first is read",
    }
    return [f"{remarks[kind]:,} images {text}" for kind, text in said.items() if remarks.get(kind)]


def decoded(
    source: Source, name: str, finish: Callable[[Image.Image], Tensor], background: Background = "none"
) -> Tensor:
    """The image of a file, (3, H, W) uint8.

    Raises:
        DataUnusable: the file is absent, damaged, or `finish` raises ValueError.
    """
    content = source.read(name)
    try:
        return finish(rgb(content, background))
    except ValueError as error:
        missing(source, f"{name} in {source.place} {error}", error)


def scaled(
    size: int, resize: int, crop: Crop, interpolation: Interpolation = "bilinear"
) -> Callable[[Image.Image], Tensor]:
    """timm's transform for measuring, up to uint8 (3, size, size).

    Args:
        size: pixels of each side.
        resize: pixels that the image is brought to before its middle is cut out: of its shorter side for the crop
            "center", of its longer side for "border" (grey is put beside it), of both for "squash".
        crop: see `resize`.
        interpolation: how it is brought there.
    """
    from timm.data.transforms_factory import create_transform

    # timm floors size / crop_pct; the half keeps rounding from taking a pixel.
    transform: Callable[[Image.Image], Tensor] = create_transform(
        (3, size, size),
        is_training=False,
        use_prefetcher=True,
        interpolation=interpolation,
        crop_pct=size / (resize + 0.5),
        crop_mode=crop,
    )
    return transform


def to_scale(size: int, resize: int, crop: Crop, interpolation: Interpolation = "bilinear") -> Finish:
    """See `scaled`; pictures so narrow that they would be brought to more than PIXELS are not taken."""

    def check(width: int, height: int) -> str | None:
        if crop == "center" and resize * resize * max(width, height) > PIXELS * min(width, height):
            return f"has {height:,} x {width:,} pixels: too narrow to be brought to {resize} on its shorter side"
        return None

    return Finish(scaled(size, resize, crop, interpolation), check, f"scaled {resize} {crop}")


def exactly(size: int) -> Finish:
    """Images that have `size` x `size` pixels already, and no others."""

    def check(width: int, height: int) -> str | None:
        return None if (width, height) == (size, size) else f"has {height} x {width} pixels, not {size} x {size}"

    def transform(image: Image.Image) -> Tensor:
        import torch

        if problem := check(*image.size):
            raise ValueError(problem)
        return torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()

    return Finish(transform, check, f"exactly {size}")


def is_resident(memory: Memory, images: int, size: int, limit: int) -> bool:
    """Whether images of `size` x `size` pixels are to be held in memory."""
    return memory == "resident" or (memory == "auto" and images * 3 * size * size <= limit)


class Decoded:
    """Images that are held in memory once they were decoded, whatever split asks for them first.

    Args:
        load: the image of a name, (3, size, size) uint8; called by several threads at a time.
        size: pixels of each side.
    """

    def __init__(self, load: Callable[[str], Tensor], size: int) -> None:
        self._load, self._size = load, size
        self._images: dict[str, Tensor] = {}

    def of(self, names: Sequence[str]) -> Tensor:
        """The images of these names, in their order: (N, 3, size, size)."""
        import torch

        from prunebench.kernels.streaming import ahead

        absent = list(dict.fromkeys(name for name in names if name not in self._images))
        # In one piece for all that are decoded together: a small tensor of its own for each would scatter them.
        block = torch.empty(len(absent), 3, self._size, self._size, dtype=torch.uint8)
        for row, (name, image) in enumerate(zip(absent, ahead(self._load, absent), strict=True)):
            block[row] = image
            self._images[name] = block[row]
        if len(absent) == len(names):
            return block
        found = torch.empty(len(names), 3, self._size, self._size, dtype=torch.uint8)
        return torch.stack([self._images[name] for name in names], out=found)


class WhenNeeded(Mapping[str, Split]):
    """Splits that are made when they are first asked for: planning needs their sizes alone, and decodes nothing."""

    def __init__(self, make: Mapping[str, Callable[[], Split]]) -> None:
        self._make, self._made = make, dict[str, Split]()

    def __getitem__(self, name: str) -> Split:
        if name not in self._made:
            self._made[name] = self._make[name]()
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._make)

    def __len__(self) -> int:
        return len(self._make)


def image_data(
    source: Source,
    lists: Sequence[str],
    whole: Sequence[Listing],
    parts_of: Callable[[Rng], Mapping[str, Listing]],
    rng: Rng,
    finish: Finish,
    size: int,
    resident: bool,
    classes: int,
    normalisation: tuple[tuple[float, ...], tuple[float, ...]],
    augment: Augmentation | None,
    notes: Sequence[str],
    background: Background = "none",
    cut_boxes: bool = False,
    class_names: tuple[str, ...] = (),
) -> Data:
    """Data from image files; only "train" is augmented. Bit-equal batches whether `resident` or not.

    Args:
        source: where the files are.
        lists: what was read beside the images: lists of them, or folders in which every image counts.
        whole: everything that the digest is of, whatever the split.
        parts_of: the listing of each split, as a stream divides them.
        rng: the stream to begin with.
        finish: what brings a decoded image to (3, size, size) uint8.
        size: pixels of each side.
        resident: hold all images in memory, from when a split is first asked for; else they are decoded for each batch.
        classes: how many.
        normalisation: mean and standard deviation of each channel, of images scaled to 0..1.
        augment: of batches of "train".
        notes: see DataInfo; what is remarkable about the pictures is added.
        background: what shows through where they are transparent.
        class_names: in the order of the labels.
        cut_boxes: a random box of each training image is cut out while it is decoded; only where not `resident`.
    Raises:
        DataUnusable: there are fewer than two classes, or a file is absent, cut short or no image. One that is damaged
            inside is named when it is decoded.
    """
    if classes < 2:
        missing(
            source, f"{source.place} has one class: there is nothing to tell apart. Images of a second one are needed"
        )
    mean, std = normalisation

    def load(name: str) -> Tensor:
        return decoded(source, name, finish.transform, background)

    held = Decoded(load, size)

    def split(name: str, listing: Listing) -> Split:
        import torch

        from prunebench.kernels.streaming import Streaming
        from prunebench_plugins.data._random_boxes import cutting

        labels, change = torch.from_numpy(listing.labels), augment if name == "train" else None
        if not resident:

            def cut(index: int, numbers: Tensor) -> Tensor:
                return decoded(source, listing.names[index], cutting(size, numbers), background)

            boxes = cut if cut_boxes and name == "train" else None
            return Streaming(lambda index: load(listing.names[index]), labels, mean, std, change, boxes)
        return Resident(held.of(listing.names.tolist()), labels, mean, std, change)

    files = source.stamped([*lists, *(name for listing in whole for name in listing.names)])
    found = facts(source, whole, files, finish, thorough=resident)
    note = "; ".join(filter(None, [*notes, *remarked(found.remarks, background)]))

    def divided(rng: Rng) -> Data:
        parts = parts_of(rng)
        sizes = {name: len(listing) for name, listing in parts.items()}
        info = DataInfo(source.data, found.digest, sizes, (3, size, size), classes, note, tuple(files), class_names)
        splits = WhenNeeded({name: partial(split, name, listing) for name, listing in parts.items()})
        return Data(info, splits, divided)

    return divided(rng)
