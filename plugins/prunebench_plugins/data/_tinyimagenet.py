"""The official layout of Tiny ImageNet, in a folder or in the publisher's zip file."""

from __future__ import annotations

import hashlib
import io
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from prunebench import DataMissing
from prunebench_plugins.data._splits import Arrays

FOLDER = "tiny-imagenet-200"
HOW = f"Run `prunebench data fetch tinyimagenet`, or put {FOLDER}/ or the publisher's zip file there."


@dataclass(frozen=True)
class Found:
    """A copy of the data set.

    Args:
        place: the folder or the archive.
        files: what it was read from.
        digest: sha256 over the names, labels and bytes of all images.
    """

    place: Path
    files: Sequence[Path]
    digest: str
    classes: int
    train: Arrays
    test: Arrays


def read(root: Path, archive: str) -> Found:
    """The copy below `root`: the folder if it is there, else the archive.

    Raises:
        DataMissing: neither is there, or a file is absent or damaged.
    """
    folder, packed = root / FOLDER, root / archive
    if folder.is_dir():
        names = [path.relative_to(root).as_posix() for path in folder.rglob("*") if path.is_file()]
        return _read(folder, names, lambda name: (root / name).read_bytes(), lambda used: [root / n for n in used])
    if not packed.is_file():
        raise DataMissing(f"tinyimagenet: no {FOLDER} in {root}. {HOW}")
    try:
        with zipfile.ZipFile(packed) as file:
            return _read(packed, file.namelist(), file.read, lambda used: [packed])
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise DataMissing(f"tinyimagenet: {packed} is damaged ({error}). Delete it and fetch it again.") from error


def _read(
    place: Path, names: Sequence[str], content: Callable[[str], bytes], files: Callable[[list[str]], list[Path]]
) -> Found:
    lists = [f"{FOLDER}/wnids.txt", f"{FOLDER}/val/val_annotations.txt"]
    known = set(names)
    if missing := [name for name in lists if name not in known]:
        raise DataMissing(f"tinyimagenet: {place} lacks {missing[0]}. {HOW}")
    wnids, annotations = (content(name).decode() for name in lists)
    label_of = {wnid: label for label, wnid in enumerate(sorted(wnids.split()))}
    train = {name: label_of[name.split("/")[2]] for name in sorted(known) if _in_train(name, label_of)}
    rows = [line.split("\t") for line in annotations.splitlines()]
    test = {f"{FOLDER}/val/images/{row[0]}": label_of[row[1]] for row in rows if len(row) > 1 and row[1] in label_of}
    if missing := [name for name in test if name not in known]:
        raise DataMissing(f"tinyimagenet: {place} lacks {missing[0]}, which val_annotations.txt names. {HOW}")
    if not train or not test:
        raise DataMissing(f"tinyimagenet: {place} has no images of the classes in wnids.txt. {HOW}")
    digest = hashlib.sha256()
    arrays = []
    for part in (train, test):
        images = np.empty((len(part), 3, 64, 64), np.uint8)
        for index, (name, label) in enumerate(part.items()):
            encoded = content(name)
            digest.update(f"{name} {label} {len(encoded)}\n".encode() + encoded)
            images[index] = _decoded(place, name, encoded)
        arrays.append((images, np.array(list(part.values()), np.uint8)))
    return Found(place, files([*lists, *train, *test]), digest.hexdigest(), len(label_of), *arrays)


def _in_train(name: str, label_of: dict[str, int]) -> bool:
    match name.split("/"):
        case [_, "train", wnid, "images", file]:
            return wnid in label_of and file.endswith(".JPEG")
    return False


def _decoded(place: Path, name: str, encoded: bytes) -> NDArray[np.uint8]:
    try:
        # Some are grey.
        pixels = np.asarray(Image.open(io.BytesIO(encoded)).convert("RGB"))
    except (OSError, SyntaxError) as error:
        raise DataMissing(f"tinyimagenet: {name} in {place} is no image. {HOW}") from error
    if pixels.shape != (64, 64, 3):
        height, width = pixels.shape[:2]
        raise DataMissing(f"tinyimagenet: {name} in {place} has {height} x {width} pixels, not 64 x 64. {HOW}")
    return pixels.transpose(2, 0, 1)
