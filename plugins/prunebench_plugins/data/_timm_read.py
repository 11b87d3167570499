"""timm's data sets as splits: each picture decoded once for the digest, then held in memory or decoded when needed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from prunebench import DataMissing
from prunebench.api.data import Data, Resident, Split
from prunebench.api.errors import DataUnusable
from prunebench.api.info import DataInfo
from prunebench.api.random import Rng
from prunebench.api.untrusted_text import printable
from prunebench.kernels.file_facts import remembered
from prunebench.kernels.streaming import Streaming
from prunebench_plugins.data._image_files import Decoded, WhenNeeded, is_resident, to_scale
from prunebench_plugins.data._pictures import PIXELS, PictureError, rgb
from prunebench_plugins.data._splits import held_out_places
from prunebench_plugins.data.augmentation import flip, in_turn, pad_crop, resized_crop

if TYPE_CHECKING:
    from prunebench_plugins.data.timm_ import TimmDataConfig

DIGEST = 1
"""Raised when what is examined of a picture changes."""


_SYNONYMS = (("train", "training"), ("val", "valid", "validation", "eval", "evaluation"))
"""Names of folders that timm takes for one another."""


@dataclass(frozen=True)
class Examples:
    """One split of timm's: how many pictures, and each with its label."""

    name: str
    size: int
    example: Callable[[int], tuple[Image.Image, int]]
    classes: tuple[str, ...]
    held: bool
    """Whether they are in memory, since they can only be read in sequence."""


def how_to_get(config: TimmDataConfig, place: Path) -> str:
    """What a person does to bring the data there."""
    name = config.name or "a folder"
    if not config.name:
        return f"Put the images into {place}/{config.train_split}/CLASS/ and {place}/{config.test_split}/CLASS/"
    call = f'timm.data.create_dataset("{name}", root="{place}", split="{config.train_split}", download=True)'
    return f"Put it there, or let it download itself, with a network: {call}, and the same for {config.test_split}"


def read(config: TimmDataConfig, place: Path, rng: Rng) -> Data:
    """See TimmData.prunebench_data."""
    train, test = (_opened(config, place, split) for split in (config.train_split, config.test_split))
    files = [str(place), *map(str, sorted(place.rglob("*")))] if place.is_dir() else [str(place)]
    question = f"timm {DIGEST} {config.name} {place} {config.train_split} {config.test_split} {train.size} {test.size}"
    question += f" {config.input_key} {config.target_key}"
    facts = remembered(question, files if place.exists() else [], lambda: _facts(train, test))
    labels = {name: np.array(facts["labels"][name], np.int64) for name in ("train", "test")}
    classes = train.classes or tuple(str(label) for label in range(int(labels["train"].max(initial=0)) + 1))
    if labels["test"].max(initial=0) >= len(classes) or min(labels["train"].min(), labels["test"].min()) < 0:
        raise DataUnusable(f'timm-data: "{config.test_split}" has classes that "{config.train_split}" lacks')
    if len(classes) < 2:
        raise DataUnusable(f"timm-data: {config.name or place} has one class: there is nothing to tell apart")
    valid = config.valid if isinstance(config.valid, int) else max(1, round(config.valid * train.size))
    finish = to_scale(config.size, config.resize or config.size, config.crop, config.interpolation)
    change = {
        "none": None,
        "pad-crop-flip": in_turn(pad_crop(config.size // 8), flip),
        "resized-crop-flip": in_turn(resized_crop, flip),
    }[config.augment]
    resident = (
        train.held
        or test.held
        or is_resident(config.memory, train.size + test.size, config.size, config.resident_limit)
    )

    def loaded(name: str) -> Tensor:
        split, _, index = name.partition(" ")
        examples = train if split == "train" else test
        picture, _ = _example(examples, int(index))
        return finish.transform(picture)

    held = Decoded(loaded, config.size)

    def split(name: str, source: str, chosen: NDArray[np.int64]) -> Split:
        targets, augment = torch.from_numpy(labels[source][chosen]), change if name == "train" else None
        names = [f"{source} {index}" for index in chosen.tolist()]
        if not resident:
            return Streaming(lambda index: loaded(names[index]), targets, config.mean, config.std, augment)
        return Resident(held.of(names), targets, config.mean, config.std, augment)

    def divided(rng: Rng) -> Data:
        places, note = held_out_places("timm", train.size, valid, config.train, rng)
        parts = {**{name: ("train", chosen) for name, chosen in places.items()}, "test": ("test", np.arange(test.size))}
        sizes = {name: len(chosen) for name, (_, chosen) in parts.items()}
        named = config.name or place.name
        shape = (3, config.size, config.size)
        info = DataInfo(named, facts["digest"], sizes, shape, len(classes), note, tuple(files), train.classes)
        return Data(info, WhenNeeded({n: partial(split, n, *part) for n, part in parts.items()}), divided)

    return divided(rng)


def _own_place(config: TimmDataConfig, place: Path, split: str) -> Path:
    """A folder with a folder for the split, or the split's own tar file: timm would take the whole folder otherwise.

    The pictures to learn from would then be those that networks are judged on.
    """
    if place.is_file():
        other = f"give the folder with {config.train_split}.tar and {config.test_split}.tar"
        raise DataUnusable(f"timm-data: {place} is one file for both splits; {other}")
    archive = place / f"{split}.tar"
    if archive.is_file():
        return archive
    if not any((place / name).is_dir() for name in (split, *next((s for s in _SYNONYMS if split in s), ()))):
        raise DataMissing(f'timm-data: no "{split}" in {place}. {how_to_get(config, place)}')
    return place


def _opened(config: TimmDataConfig, place: Path, split: str) -> Examples:
    from timm.data.dataset_factory import create_dataset

    root = place if config.name else _own_place(config, place, split)
    keys = {name: value for name in ("input_key", "target_key") if (value := getattr(config, name)) is not None}
    try:
        found = create_dataset(config.name, root=str(root), split=split, is_training=False, download=False, **keys)
        if not hasattr(found, "__getitem__") or not hasattr(found, "__len__") or _in_sequence(found):
            pictures = [(picture.convert("RGB"), int(label)) for picture, label in found]
            return Examples(split, len(pictures), lambda index: pictures[index], _classes(found), held=True)
        reader = getattr(found, "reader", found)
        return Examples(split, len(found), lambda index: _decoded(reader[index]), _classes(found), held=False)
    except Exception as error:  # of timm, torchvision, datasets, ...: a place that is not there, a network, a package
        why = printable((str(error) or type(error).__name__).splitlines()[0])
        what = f'timm-data: no "{split}" of {config.name or place} that can be read ({why}).'
        raise DataMissing(f"{what} {how_to_get(config, place)}") from error


def _in_sequence(found: Any) -> bool:
    from torch.utils.data import IterableDataset

    return isinstance(found, IterableDataset)


def _classes(found: Any) -> tuple[str, ...]:
    reader = getattr(found, "reader", found)
    by_name: Mapping[Any, int] | None = getattr(reader, "class_to_idx", None)
    if by_name and sorted(by_name.values()) == list(range(len(by_name))):
        return tuple(str(name) for name, _ in sorted(by_name.items(), key=lambda item: item[1]))
    named = getattr(found, "classes", None)
    return tuple(map(str, named)) if isinstance(named, list | tuple) else ()


def _decoded(example: Any) -> tuple[Image.Image, int]:
    """A picture of mode "RGB" and its label; files are closed."""
    picture, label = example[0], int(example[1])
    if isinstance(picture, Image.Image):
        return picture.convert("RGB"), label
    if isinstance(picture, bytes):
        return rgb(picture), label
    with picture as file:
        return rgb(file.read()), label


def _example(examples: Examples, index: int) -> tuple[Image.Image, int]:
    try:
        picture, label = examples.example(index)
        if picture.width * picture.height > PIXELS:
            raise PictureError(f"has {picture.width * picture.height:,} pixels; at most {PIXELS:,} are taken")
        return picture, label
    except Exception as error:  # PIL's, tarfile's, a PictureError, ...
        why = printable((str(error) or type(error).__name__).splitlines()[0])
        raise DataUnusable(f'timm-data: picture {index:,} of "{examples.name}" {why}. Put it there anew.') from error


def _facts(train: Examples, test: Examples) -> dict[str, Any]:
    digest = hashlib.sha256()
    labels: dict[str, list[int]] = {}
    for name, examples in (("train", train), ("test", test)):
        digest.update(f"{name} {examples.size} {list(examples.classes)}\n".encode())
        labels[name] = list(_hashed(examples, digest))
    return {"digest": digest.hexdigest(), "labels": labels}


def _hashed(examples: Examples, digest: Any) -> Iterator[int]:
    for index in range(examples.size):
        picture, label = _example(examples, index)
        digest.update(f"{label} {picture.width} {picture.height}\n".encode())
        digest.update(picture.tobytes())
        yield label
