"""What `prunebench check` says where data is absent, or only part of it is there."""

from __future__ import annotations

import gzip
import io
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from PIL import Image

from prunebench.commands.main import main
from prunebench.components.catalogue import Catalogue

FILE = """
schema = 1
seeds = [0]
cut = 0.5
rounds = 1
data = {{ {data} }}
model = {{ name = "lenet_300_100" }}
train = {{ horizon = "4it", batch = 6, optimizer = "adam" }}

[[entry]]
name = "imp"
schedule = "rewind"
score = "magnitude"
select = "global"
"""
SHIPPED = {"mnist5k"}
"""Comes with a dependency: it needs no data root."""


def built_in() -> list[str]:
    return sorted(
        name
        for name, provider in Catalogue.load().providers.items()
        if provider.component.build.__module__.startswith("prunebench_plugins.data.") and name not in SHIPPED
    )


@pytest.fixture(autouse=True)
def _own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PRUNEBENCH_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("PRUNEBENCH_DATA", str(tmp_path / "data"))
    monkeypatch.chdir(tmp_path)


def check(data: str) -> Result:
    Path("file.toml").write_text(FILE.format(data=data))
    return CliRunner().invoke(main, ["check", "file.toml"])


def jpeg(size: int = 64) -> bytes:
    file = io.BytesIO()
    Image.effect_noise((size, size), 50).convert("RGB").save(file, "JPEG")
    return file.getvalue()


@pytest.mark.parametrize("name", built_in())
def test_an_empty_data_root_is_told_with_what_to_put_there(name: str, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    refused = check(f'use = "{name}"')
    assert refused.exit_code == 2
    assert f'entry "imp": {name}: no ' in refused.output
    assert str(tmp_path / "data") in refused.output
    assert "data fetch" in refused.output or "Put the" in refused.output


LOADED = """
import sys
from pathlib import Path
from prunebench.api.errors import DataMissing
from prunebench.api.random import Rng
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager
catalogue = Catalogue.load()
for name in sys.argv[1:]:
    try:
        run_manager([catalogue.use(name, slot="data")]).hook.prunebench_data(root=Path("data"), rng=Rng("probe"))
    except DataMissing:
        continue
    print(name, "found its data")
print("torch" in sys.modules)
"""


def test_that_all_is_missing_is_found_without_torch(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    names = [name for name in built_in() if name != "timm-data"]  # there timm looks, which imports torch
    told = subprocess.run(
        [sys.executable, "-c", LOADED, *names], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert told.stdout == "False\n"


PARTS: dict[str, tuple[str, dict[str, bytes]]] = {
    "mnist": (
        "MNIST/raw/train-images-idx3-ubyte.gz is damaged",
        {
            f"MNIST/raw/{name}-ubyte.gz": gzip.compress(bytes(1_000))[:-9]
            for name in ("train-images-idx3", "train-labels-idx1", "t10k-images-idx3", "t10k-labels-idx1")
        },
    ),
    "fashion-mnist": (
        "no train-labels-idx1-ubyte under",
        {"FashionMNIST/raw/train-images-idx3-ubyte.gz": gzip.compress(bytes(1_000))},
    ),
    "cifar10": ("lacks data_batch_2.bin", {"cifar-10-batches-bin/data_batch_1.bin": bytes(3_073)}),
    "cifar100": ("lacks test.bin", {"cifar-100-binary/train.bin": bytes(3_074)}),
    "tinyimagenet": (
        "holds 1 classes, 1 training and 1 validation images of 200, 100,000 and 10,000",
        {
            "tiny-imagenet-200/wnids.txt": b"n01\n",
            "tiny-imagenet-200/train/n01/images/n01_0.JPEG": jpeg(),
            "tiny-imagenet-200/val/val_annotations.txt": b"val_0.JPEG\tn01\t0\t0\t1\t1\n",
            "tiny-imagenet-200/val/images/val_0.JPEG": jpeg(),
        },
    ),
    "miniplaces": (
        "lists 1 classes, 1 training and 1 validation images of 100, 100,000 and 10,000",
        {
            "miniplaces/categories.txt": b"/a/abbey 0\n",
            "miniplaces/train.txt": b"train/a/abbey/1.jpg 0\n",
            "miniplaces/val.txt": b"val/1.jpg 0\n",
        },
    ),
    "image-folder": (
        "test/a/1.jpg in",
        {
            **{f"images/train/{name}/{number}.jpg": jpeg() for name in "ab" for number in (1, 2)},
            **{"images/test/a/1.jpg": jpeg()[:-50], "images/test/b/1.jpg": jpeg()},
        },
    ),
    "timm-data": (
        'no "validation" in',
        {f"images/train/{name}/{number}.jpg": jpeg() for name in "ab" for number in (1, 2)},
    ),
}
"""What is said, and the files that are there."""


def test_every_data_set_has_a_part_here() -> None:
    assert sorted(PARTS) == built_in()


@pytest.mark.parametrize("name", PARTS)
def test_part_of_a_data_set_is_told(name: str, tmp_path: Path) -> None:
    said, files = PARTS[name]
    for file, content in files.items():
        path = tmp_path / "data" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    refused = check(f'use = "{name}"')
    assert refused.exit_code == 2
    assert f'entry "imp": {name}: ' in refused.output
    assert said in refused.output
