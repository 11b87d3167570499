"""Images for ImageNet's usual augmentation, streamed from JPEG files, against timm's loader on the same files.

Random boxes of 224 x 224 pixels, cut out while decoding, mirrored and normalised, from files of about 500 x 375 pixels.
timm's loader decodes in the calling process, prunebench's in its threads: processor time counts both alike.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from interleave import Row, pair_ratios, row, show
from PIL import Image
from timm.data.dataset import ImageDataset
from timm.data.loader import create_loader

from prunebench.api.data import Gather
from prunebench.api.random import Rng
from prunebench_plugins.data.image_folder import ImageFolder, ImageFolderConfig

FILES, BATCH, PAIRS = 128, 32, 5


def measure() -> list[Row]:
    """One line."""
    with tempfile.TemporaryDirectory() as folder:
        _write(Path(folder, "images"))
        ratios = pair_ratios(_ours(Path(folder)), _timm(Path(folder, "images", "train")), PAIRS)
    note = f"of timm's loader, processor time, {FILES} files of 500 x 375 to 224 x 224"
    return [row("streamed images, random boxes", ratios, 1.0, note)]


def _write(root: Path) -> None:
    numbers = np.random.default_rng(0)
    for part in ("train", "test"):
        for label in ("a", "b"):
            folder = root / part / label
            folder.mkdir(parents=True)
            for number in range(FILES // 2 if part == "train" else 1):
                coarse = numbers.integers(0, 256, (48, 64, 3), dtype=np.uint8)
                image = Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)
                image.save(folder / f"{number}.jpg", quality=90)


def _ours(root: Path) -> Callable[[], None]:
    config = ImageFolderConfig(valid=0, augment="random-resized-crop-flip", memory="stream")
    train = ImageFolder(config).prunebench_data(root=root, rng=Rng("speed"))["train"]

    def look() -> None:
        order = torch.randperm(FILES)
        gathers = (Gather(chosen, seed=step) for step, chosen in enumerate(torch.split(order, BATCH)))
        assert sum(len(labels) for _, labels in train.batches(gathers)) == FILES

    return look


def _timm(train: Path) -> Callable[[], None]:
    loader = create_loader(
        ImageDataset(os.fspath(train)),  # type: ignore[no-untyped-call]
        (3, 224, 224),
        BATCH,
        is_training=True,
        use_prefetcher=False,
        color_jitter=0.0,
        interpolation="bilinear",
        num_workers=0,
        persistent_workers=False,
    )

    def look() -> None:
        assert sum(len(labels) for _, labels in loader) == FILES

    return look


if __name__ == "__main__":
    torch.set_num_threads(1)
    show(measure())
