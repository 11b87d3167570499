"""The official layout of Tiny ImageNet, in a folder or in the publisher's zip file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from prunebench import DataMissing
from prunebench_plugins.data._image_files import Archive, Folder, Listing, Source, folders, missing

FOLDER = "tiny-imagenet-200"
HOW = f"Run `prunebench data fetch tinyimagenet`, or put {FOLDER}/ or the publisher's zip file there."


@dataclass(frozen=True)
class Found:
    """A copy of the data set.

    Args:
        source: the folder or the archive.
        lists: names of the files that say which image is of which class, and of the folders that do.
        names: of the classes, in the order of their labels: WordNet's.
        train: the official training images.
        test: the official validation images.
    """

    source: Source
    lists: Sequence[str]
    names: tuple[str, ...]
    train: Listing
    test: Listing


def listed(root: Path, archive: str) -> Found:
    """The copy below `root`: the folder if it is there, else the archive.

    Raises:
        DataMissing: neither is there, or a file is absent.
    """
    folder, packed = root / FOLDER, root / archive
    if folder.is_dir():
        return _listed(Folder("tinyimagenet", folder, HOW, root))
    if not packed.is_file():
        raise DataMissing(f"tinyimagenet: no {FOLDER} in {root}. {HOW}")
    return _listed(Archive("tinyimagenet", packed, HOW))


def _listed(source: Source) -> Found:
    lists = [f"{FOLDER}/wnids.txt", f"{FOLDER}/val/val_annotations.txt"]
    known = set(source.names())
    if gone := [name for name in lists if name not in known]:
        missing(source, f"{source.place} lacks {gone[0]}")
    wnids, annotations = (_text(source, name) for name in lists)
    label_of = {wnid: label for label, wnid in enumerate(sorted(wnids.split()))}
    train = {name: label_of[name.split("/")[2]] for name in sorted(known) if _in_train(name, label_of)}
    rows = [line.split("\t") for line in annotations.splitlines()]
    test = {f"{FOLDER}/val/images/{row[0]}": label_of[row[1]] for row in rows if len(row) > 1 and row[1] in label_of}
    if gone := [name for name in test if name not in known]:
        missing(source, f"{source.place} lacks {gone[0]}, which val_annotations.txt names")
    if not train or not test:
        missing(source, f"{source.place} has no images of the classes in wnids.txt")
    return Found(source, [*lists, *folders(train)], tuple(label_of), Listing.of(train), Listing.of(test))


def _text(source: Source, name: str) -> str:
    try:
        return source.read(name).decode()
    except UnicodeDecodeError as error:
        missing(source, f"{name} in {source.place} is no text", error)


def _in_train(name: str, label_of: dict[str, int]) -> bool:
    match name.split("/"):
        case [_, "train", wnid, "images", file]:
            return wnid in label_of and file.endswith(".JPEG")
    return False
