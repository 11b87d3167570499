"""Images in folders of classes: which files count, which are left out, and what is said of the latter."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from os.path import splitext
from pathlib import Path, PurePosixPath
from typing import NoReturn

from prunebench import DataMissing
from prunebench_plugins.data._image_files import Folder, Listing, is_hidden, missing
from prunebench_plugins.data._pictures import SUFFIXES

HOW = "Put the image there anew, or delete it."
BESIDE = (
    *(".cfg", ".css", ".csv", ".db", ".html", ".ini", ".json", ".jsonl", ".log", ".md", ".py", ".rst", ".sh"),
    *(".toml", ".tsv", ".txt", ".xml", ".yaml", ".yml"),
)
"""How the names of files end that lie beside images. What else is no image that is read is counted in a note."""


@dataclass(frozen=True)
class Copy:
    """What a folder holds.

    Args:
        classes: in the order of their labels.
        parts: the images of each folder of a split.
        left_out: a note on files that may be images and are not read; empty if there are none.
    """

    source: Folder
    classes: tuple[str, ...]
    parts: Mapping[str, Listing]
    left_out: str


def listed(base: Path, shown: str, train: str, test: str, valid: str | None) -> Copy:
    """The images below `base` in a folder for each split and in it one for each class; hidden files do not count.

    Args:
        shown: `base` as the benchmark file has it.
    Raises:
        DataMissing: a folder, a class or the images of a class are absent; there is one class alone.
    """
    source = Folder("image-folder", base, HOW, base)
    if not (base / train).is_dir():
        _no_classes(base, shown, train, test)
    trees = {part: _by_class(base, part) for part in (train, test, valid) if part is not None}
    classes = tuple(sorted(trees[train].images))
    if not classes:
        _no_classes(base, shown, train, test)
    if len(classes) == 1:
        one = f"{base / train} has one class, {classes[0]}: there is nothing to tell apart"
        missing(replace(source, how="Add the folder of a second class."), one)
    for part, tree in trees.items():
        if strange := sorted(tree.images.keys() - set(classes)):
            lacking = f'{base / part} has the class "{strange[0]}", which the training images lack'
            missing(replace(source, how=f"Add {base / train / strange[0]}, or delete that class."), lacking)
        for name in classes:
            if not tree.images.get(name):
                kinds = _counted(kind for where, kind in tree.others if where == name)
                others = f"; it holds {kinds}" if kinds else ""
                how = f"Put at least one there ({', '.join(SUFFIXES)})."
                missing(replace(source, how=how), f"no images in {base / part / name}{others}")
    parts = {
        part: Listing.of({name: label for label, of in enumerate(classes) for name in tree.images[of]})
        for part, tree in trees.items()
    }
    return Copy(source, classes, parts, _left_out(trees.values(), sum(map(len, parts.values()))))


@dataclass(frozen=True)
class _Tree:
    """The folder of a split: images by class, and (class, kind) of the files that are none."""

    images: Mapping[str, list[str]]
    others: list[tuple[str, str]]


def _by_class(base: Path, part: str) -> _Tree:
    place = base / part
    source = Folder("image-folder", place, HOW, base)
    names = source.names() if place.is_dir() else []
    depth = len(PurePosixPath(part).parts)
    # A class without images is one, too: it is missed, not left out.
    classes = (path.name for path in (place.iterdir() if place.is_dir() else ()) if path.is_dir())
    images: dict[str, list[str]] = {name: [] for name in classes if not is_hidden(name)}
    others = []
    for name in sorted(names, key=lambda name: name.split("/")):
        where, suffix = name.split("/")[depth:], splitext(name)[1].lower()
        if len(where) > 1 and suffix in SUFFIXES:
            images[where[0]].append(name)
        elif suffix not in BESIDE:
            others.append((where[0] if len(where) > 1 else "", suffix or "without an ending"))
    return _Tree(images, others)


def _no_classes(base: Path, shown: str, train: str, test: str) -> NoReturn:
    below = "" if PurePosixPath(shown).is_absolute() or shown.startswith("~") else " below the data root"
    raise DataMissing(
        f"image-folder: no folders of classes in {base / train}. Put the images into {shown}/{train}/CLASS/ and "
        f"{shown}/{test}/CLASS/{below}."
    )


def _left_out(trees: Iterable[_Tree], images: int) -> str:
    found = [(where, kind) for tree in trees for where, kind in tree.others]
    if not found:
        return ""
    loose = sum(not where for where, _ in found)
    kinds = _counted(kind for _, kind in found)
    outside = f", {loose:,} of them in no class" if loose else ""
    return f"{len(found):,} of {images + len(found):,} files are left out: {kinds}{outside}"


def _counted(kinds: Iterable[str]) -> str:
    return ", ".join(f"{number:,} {kind}" for kind, number in Counter(sorted(kinds)).most_common())
