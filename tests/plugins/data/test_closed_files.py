"""Files of a data set that may not be read: they are named, and nobody is told to delete what may be sound."""

from __future__ import annotations

import os
import struct
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from prunebench.api.errors import DataMissing, DataUnusable
from prunebench.api.random import Rng
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager


@pytest.fixture
def root(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    # Not below pytest's own folder, which nobody else may enter.
    with tempfile.TemporaryDirectory() as outside:
        monkeypatch.setenv("PRUNEBENCH_CACHE", outside)
        raw, images = Path(outside, "MNIST", "raw"), Path(outside, "images")
        raw.mkdir(parents=True)
        for part in ("train", "t10k"):
            (raw / f"{part}-images-idx3-ubyte").write_bytes(struct.pack(">4B3I", 0, 0, 8, 3, 40, 28, 28) + bytes(31360))
            (raw / f"{part}-labels-idx1-ubyte").write_bytes(struct.pack(">4BI", 0, 0, 8, 1, 40) + bytes(40))
        for folder in ("train/a", "train/b", "test/a", "test/b"):
            (images / folder).mkdir(parents=True)
            for number in range(4):
                Image.new("RGB", (8, 8), (number, 0, 0)).save(images / folder / f"{number}.png")
        for path in (Path(outside), *Path(outside).rglob("*")):
            path.chmod(0o755)
        yield Path(outside)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Without root's right to read everything."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


def reader(root: Path, table: dict[str, Any]) -> Callable[[], object]:
    use = Catalogue.load().bind(table, "data")  # what is installed may lie where nobody else may look
    return lambda: run_manager([use]).hook.prunebench_data(root=root, rng=Rng("probe"))


MNIST = {"use": "mnist", "valid": 8}
IMAGES = {"use": "image-folder", "size": 8, "valid": 2}


@pytest.mark.parametrize(
    ("table", "closed"),
    [
        (MNIST, "MNIST/raw/train-images-idx3-ubyte"),
        (MNIST, "MNIST/raw"),
        (IMAGES, "images/train/a/1.png"),
        (IMAGES, "images/train/a"),
        (IMAGES, "images"),
    ],
)
def test_what_may_not_be_read_is_named(root: Path, table: dict[str, Any], closed: str) -> None:
    read = reader(root, table)
    read()  # imports what it needs, too
    (root / closed).chmod(0)
    try:
        with as_nobody(), pytest.raises(DataUnusable) as told:
            read()
    finally:
        (root / closed).chmod(0o755)
    assert closed.removeprefix("images/") in str(told.value)
    assert "Permission denied" in str(told.value)
    assert "Make it readable and run again." in str(told.value)
    assert "elete" not in str(told.value)


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


@pytest.mark.parametrize("make", [pipe, device])
@pytest.mark.parametrize(
    ("table", "name"), [(MNIST, "MNIST/raw/train-images-idx3-ubyte"), (IMAGES, "images/train/a/1.png")]
)
def test_what_is_no_file_is_not_waited_on_and_not_left_out(
    root: Path, table: dict[str, Any], name: str, make: Callable[[Path], None]
) -> None:
    (root / name).unlink()
    make(root / name)
    with pytest.raises(DataMissing, match=Path(name).name):
        reader(root, table)()
