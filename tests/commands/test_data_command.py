"""`prunebench data list`: the state is what the loader really reads."""

from __future__ import annotations

import gzip
import hashlib
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from prunebench import Component, ComponentConfig, hookimpl
from prunebench.api.data import Data
from prunebench.commands.main import main
from prunebench.components.catalogue import Catalogue
from prunebench.runner.data_sets import READY, UNUSABLE, data_set
from prunebench_plugins.data import cifar10


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PRUNEBENCH_DATA", str(tmp_path / "data"))
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


def states() -> dict[str, str]:
    done = CliRunner().invoke(main, ["data", "list"])
    assert done.exit_code == 0, done.output
    lines = [line for line in done.output.splitlines() if not line.startswith(("  ", "Data root"))]
    return {name: state.strip() for name, _, state in (line.partition(" ") for line in lines)}


def test_nothing_is_there_but_what_comes_with_a_package(root: Path) -> None:
    found = states()
    assert found.pop("mnist5k") == "comes with the package"
    fetched = {"cifar10", "cifar100", "fashion-mnist", "mnist", "tinyimagenet"}
    for name in fetched:
        assert found.pop(name) == f"missing; `prunebench data fetch {name}`"
    assert found == {
        "image-folder": "missing",
        "miniplaces": "missing",
        "python": "needs a configuration",
        "timm-data": "missing",
    }


def png(shade: int) -> bytes:
    file = io.BytesIO()
    Image.new("L", (32, 32), shade).save(file, "PNG")
    return file.getvalue()


def test_what_the_loader_reads_is_ready(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The batches as the publisher's archive unpacks them, without the archive.
    batch = np.random.default_rng(0).integers(0, 10, (10_000, 3_073), "uint8").tobytes()
    folder = root / cifar10.FOLDER
    folder.mkdir()
    for name in cifar10.SHA1:
        (folder / name).write_bytes(batch)
    digest = hashlib.sha1(batch, usedforsecurity=False).hexdigest()
    monkeypatch.setattr(cifar10, "SHA1", dict.fromkeys(cifar10.SHA1, digest))
    for part, name, shade in ((p, n, s) for p in ("train", "test") for n in "ab" for s in range(9)):
        place = root / "images" / part / name / f"{shade}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(png(shade))
    found = states()
    assert (found["cifar10"], found["image-folder"]) == ("ready", "ready")
    (folder / "test_batch.bin").write_bytes(batch[:-1])
    (root / "images" / "test" / "a" / "3.png").write_bytes(b"x")
    (root / "MNIST").mkdir()
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (root / "MNIST" / f"{name}-ubyte.gz").write_bytes(gzip.compress(b"x"))
    found = states()
    assert (found["cifar10"], found["image-folder"], found["mnist"]) == ("damaged or incomplete",) * 3


def test_a_bomb_in_place_of_a_file_is_not_unpacked(root: Path) -> None:
    (root / "MNIST").mkdir()
    head = bytes((0, 0, 8, 3)) + b"\0\0\0\1\0\0\0\1\0\0\0\1"
    for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1"):
        (root / "MNIST" / f"{name}-ubyte.gz").write_bytes(gzip.compress(head + bytes(2**27)))
    found = data_set("mnist", Catalogue.load(), root)
    assert found.state == UNUSABLE
    assert "should hold 1 bytes of data and holds 2 or more" in found.text


class Odd:
    """A data set of a stranger, whose loader fails."""

    def __init__(self, config: ComponentConfig) -> None:
        pass

    @hookimpl
    def prunebench_data(self) -> Data:
        raise RuntimeError("\x1b[31mred")


class NeededConfig(ComponentConfig):
    place: str


def components() -> Iterator[Component]:
    yield Component("odd", ComponentConfig, Odd, version=1)
    yield Component("needy", NeededConfig, Odd, version=1)


def test_a_component_that_fails_does_not_hide_the_others(root: Path) -> None:
    catalogue = Catalogue.load().with_components(components(), "a stranger's")
    odd, needy = (data_set(name, catalogue, root) for name in ("odd", "needy"))
    assert (odd.state, needy.state) == ("cannot be read", "needs a configuration")
    assert "\x1b" not in odd.text
    assert data_set("mnist5k", catalogue, root).state != READY
