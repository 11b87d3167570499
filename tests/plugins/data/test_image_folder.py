from __future__ import annotations

import io
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import torch
from engine.toy_runs import open_store
from PIL import Image, ImageDraw
from pydantic import ValidationError
from torch import Tensor

from prunebench import DataMissing, PlanError
from prunebench.api import keys
from prunebench.api.data import Data, Gather, Resident, in_order
from prunebench.api.random import Rng, Streams
from prunebench.benchmark.choices import DataChoice
from prunebench.components.catalogue import Catalogue
from prunebench.engine.probe import StoreProbe
from prunebench.kernels.streaming import Streaming
from prunebench.runner.preparing import Options, prepare
from prunebench.runner.running import run as carry_out
from prunebench.testing import DataContract
from prunebench_plugins.data import _image_files
from prunebench_plugins.data._image_files import Source, scaled
from prunebench_plugins.data.image_folder import ImageFolder, ImageFolderConfig

CLASSES = ("ash", "birch", "cedar")
TRAIN, TEST = 8, 4
"""Images of each class."""


def picture(label: int, number: int, mode: str = "RGB") -> Image.Image:
    """Noise with a bar whose place tells the class; no two are alike, and none is square."""
    width, height = 14 + number % 3, 10 + number % 4
    noise = bytes(Rng(f"{label}/{number}").numpy().integers(0, 120, 3 * width * height, "uint8"))
    image = Image.frombytes("RGB", (width, height), noise)
    ImageDraw.Draw(image).rectangle((4 * label + 1, 0, 4 * label + 4, height), (250, 200, 150))
    return image.convert(mode)


def write(root: Path) -> Path:
    folder = root / "woods"
    for part, count in (("train", TRAIN), ("test", TEST)):
        for label, name in enumerate(CLASSES):
            (folder / part / name / "nested").mkdir(parents=True)
            (folder / part / name / "notes.txt").write_text("no image")
            for number in range(count):
                # Other kinds of files and of pixels, and folders in folders.
                mode, suffix = {1: ("L", "png"), 2: ("P", "png"), 3: ("RGB", "JPG")}.get(number, ("RGB", "jpeg"))
                place = folder / part / name / ("nested" if number == 4 else "")
                image = picture(label, number + 100 * (part == "test"), mode)
                kind = "PNG" if suffix == "png" else "JPEG"
                image.save(place / f"{number}.{suffix}", kind, **({"transparency": bytes(9)} if mode == "P" else {}))
    return folder


def load(root: Path, seed: int = 0, **config: object) -> Data:
    table = {"path": "woods", "size": 8, **config}
    return ImageFolder(ImageFolderConfig.model_validate(table)).prunebench_data(root, Streams(seed).rng("split"))


def labels(data: Data, name: str) -> list[int]:
    split = data[name]
    assert isinstance(split, Resident | Streaming)
    found: list[int] = split.labels.tolist()
    return found


class TestImageFolder(DataContract):
    component = {"use": "image-folder", "path": "woods", "size": 8, "valid": 5, "augment": "resized-crop-flip"}

    @pytest.fixture(autouse=True)
    def _made_up(self, tmp_path: Path) -> None:
        write(tmp_path)
        self._root = tmp_path

    def root(self) -> Path:
        return self._root

    def test_the_files_that_it_was_read_from_exist(self) -> None:
        # Folders, too: an image that is added changes no file that was read.
        files = self.load(0).info.files
        assert all(Path(file).exists() for file in files)
        assert any(Path(file).is_dir() for file in files)


class TestStreamedImageFolder(TestImageFolder):
    component = {**TestImageFolder.component, "memory": "stream"}


class TestBoxesCutWhileDecoding(TestImageFolder):
    component = {**TestImageFolder.component, "memory": "stream", "augment": "random-resized-crop-flip"}


def test_boxes_that_are_cut_while_decoding_cannot_be_held_in_memory() -> None:
    with pytest.raises(ValidationError, match='memory cannot be "resident"; write "stream"'):
        ImageFolderConfig(augment="random-resized-crop-flip", memory="resident")


def test_splits_are_the_folders_and_valid_is_held_out_of_train(tmp_path: Path) -> None:
    write(tmp_path)
    data = load(tmp_path, valid=5)
    assert data.info.sizes == {"train": 19, "valid": 5, "test": 12}
    assert (data.info.name, data.info.shape, data.info.classes) == ("image-folder", (3, 8, 8), 3)
    assert sorted(labels(data, "train") + labels(data, "valid")) == [0] * 8 + [1] * 8 + [2] * 8
    assert labels(data, "test") == [0] * 4 + [1] * 4 + [2] * 4
    assert load(tmp_path, valid=0.25).info.sizes == {"train": 18, "valid": 6, "test": 12}
    assert load(tmp_path, valid=0).info.sizes == {"train": 24, "test": 12}
    assert load(tmp_path, train=4).info.note == "subset: 4 of 22 training images"


def test_a_folder_of_validation_images_is_taken_whole(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "test").rename(folder / "val")
    (folder / "train").rename(folder / "held")
    write(tmp_path / "more")
    (tmp_path / "more" / "woods" / "train").rename(folder / "train")
    data = load(tmp_path, test_folder="val", valid_folder="held")
    assert data.info.sizes == {"train": 24, "valid": 24, "test": 12}
    assert labels(data, "valid") == [0] * 8 + [1] * 8 + [2] * 8


def test_seeds_hold_out_other_images_of_one_source(tmp_path: Path) -> None:
    write(tmp_path)
    first, second = load(tmp_path, 0), load(tmp_path, 1)
    ((a, _),), ((b, _),) = (data["train"].batches([Gather(torch.arange(21))]) for data in (first, second))
    assert not torch.equal(a, b)
    assert first.info.digest == second.info.digest


@pytest.mark.parametrize("augment", ["none", "pad-crop-flip", "resized-crop-flip"])
def test_streamed_and_resident_batches_are_bit_equal_over_epochs(tmp_path: Path, augment: str) -> None:
    write(tmp_path)
    resident = load(tmp_path, augment=augment, memory="resident", resize=10)
    streamed = load(tmp_path, augment=augment, memory="stream", resize=10)
    assert isinstance(resident["train"], Resident)
    assert isinstance(streamed["train"], Streaming)
    assert resident.info == streamed.info
    order = Rng("order")
    for name in ("train", "valid", "test"):
        size = resident[name].size
        gathers = [
            Gather(chosen, order.seed(epoch))
            for epoch in range(3)
            for chosen in torch.from_numpy(order.permutation(size, epoch)).split(5)
        ]
        gathers += list(in_order(size, 7))
        both = zip(resident[name].batches(gathers), streamed[name].batches(iter(gathers)), strict=True)
        seen = [torch.equal(x, y) and torch.equal(label, again) for (x, label), (y, again) in both]
        assert seen == [True] * len(gathers)


def test_what_fits_into_the_limit_is_held_in_memory(tmp_path: Path) -> None:
    write(tmp_path)
    whole = 36 * 3 * 8 * 8
    assert isinstance(load(tmp_path, resident_limit=whole)["test"], Resident)
    assert isinstance(load(tmp_path, resident_limit=whole - 1)["test"], Streaming)
    assert isinstance(load(tmp_path, resident_limit=0, memory="resident")["test"], Resident)


def pixels(image: Image.Image) -> Tensor:
    return torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(*image.size[::-1], 3).permute(2, 0, 1)


def test_images_are_scaled_as_timm_scales_them_for_measuring() -> None:
    image = picture(1, 2)
    width, height = image.size
    assert (width, height) == (16, 12)
    # The shorter side has 12 pixels already: nothing is scaled.
    own = scaled(12, 12, "center")(image)
    assert own.shape == (3, 12, 12)
    middle = (
        torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8).view(12, 16, 3).permute(2, 0, 1)[:, :, 2:14]
    )
    assert torch.equal(own, middle)
    squashed = Image.new("RGB", (12, 12))
    squashed.paste(image.resize((12, 12), Image.Resampling.BILINEAR))
    expected = torch.frombuffer(bytearray(squashed.tobytes()), dtype=torch.uint8).view(12, 12, 3).permute(2, 0, 1)
    assert torch.equal(scaled(12, 12, "squash")(image), expected)
    assert scaled(12, 12, "border")(image).shape == (3, 12, 12)
    # Every size that an image is brought to is the one that was asked for.
    assert all(
        transform.transforms[0].size == resize  # type: ignore[attr-defined]
        for size, resize in ((size, resize) for size in (7, 32, 224) for resize in range(size, 300))
        for transform in [scaled(size, resize, "center")]
    )


@pytest.mark.parametrize("memory", ["resident", "stream"])
def test_the_digest_changes_with_contents_names_and_classes(tmp_path: Path, memory: str) -> None:
    folder = write(tmp_path)
    found = [load(tmp_path, memory=memory).info.digest]
    picture(0, 50).save(folder / "test" / "ash" / "0.jpeg")
    found.append(load(tmp_path, memory=memory).info.digest)
    (folder / "test" / "ash" / "0.jpeg").rename(folder / "test" / "ash" / "9.jpeg")
    found.append(load(tmp_path, memory=memory).info.digest)
    (folder / "train" / "ash" / "5.jpeg").rename(folder / "train" / "birch" / "9.jpeg")
    found.append(load(tmp_path, memory=memory).info.digest)
    assert len(set(found)) == 4


def test_planning_sees_an_image_that_was_added_or_taken_away(tmp_path: Path) -> None:
    folder = write(tmp_path)
    use = Catalogue.load().use({"use": "image-folder", "path": "woods", "size": 8}, slot="data")
    probe = StoreProbe(open_store(tmp_path / "store"), tmp_path)

    def sizes() -> int:
        return sum(probe.data(DataChoice(label="woods", use=use)).sizes.values())

    assert sizes() == 36
    added = folder / "train" / "cedar" / "nested" / "added.png"
    picture(2, 60).save(added)
    os.utime(added.parent, ns=(1, 1))  # clocks of file systems are coarse
    assert sizes() == 37
    added.unlink()
    os.utime(added.parent, ns=(2, 2))
    assert sizes() == 36


def test_missing_folders_say_what_to_put_where(tmp_path: Path) -> None:
    with pytest.raises(DataMissing, match=r"no folders of classes in .*woods/train.* woods/test/CLASS/"):
        load(tmp_path)
    folder = write(tmp_path)
    (folder / "train" / "dogwood").mkdir()
    with pytest.raises(DataMissing, match=r"no images in .*dogwood"):
        load(tmp_path)
    (folder / "train" / "dogwood").rmdir()
    (folder / "test" / "dogwood").mkdir()
    with pytest.raises(DataMissing, match='the class "dogwood", which the training images lack'):
        load(tmp_path)


@pytest.mark.parametrize("file", ["train/cedar/3.JPG", "test/ash/1.png"])
@pytest.mark.parametrize("memory", ["resident", "stream"])
def test_an_image_that_is_cut_short_is_named_when_the_data_is_read(tmp_path: Path, file: str, memory: str) -> None:
    path = write(tmp_path) / file
    whole = path.read_bytes()
    for content in (whole[:-60], whole[:50], b"", b"x" * 99):
        path.write_bytes(content)
        with pytest.raises(DataMissing, match=rf"{file} in .*woods is no image"):
            load(tmp_path, memory=memory)
    # What some programs write behind an image does no harm.
    path.write_bytes(whole + b"x" * 9_000)
    load(tmp_path, memory=memory)


def test_a_streamed_image_that_is_damaged_inside_is_named_when_it_is_needed(tmp_path: Path) -> None:
    path = write(tmp_path) / "test" / "birch" / "1.png"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    split = load(tmp_path, memory="stream")["test"]
    with pytest.raises(DataMissing, match=r"test/birch/1\.png in .*woods is no image"):
        list(split.batches(in_order(12, 3)))
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prunebench-ahead")]


def test_more_images_than_there_are_is_an_error(tmp_path: Path) -> None:
    write(tmp_path)
    with pytest.raises(PlanError, match="image-folder: the training set has 24 images"):
        load(tmp_path, valid=24)


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ({"path": "../woods"}, "not a folder below the data root"),
        ({"path": "woods/../../x"}, 'one elsewhere begins with "/" or "~"'),
        ({"path": "woods\0"}, "not a folder below the data root"),
        ({"train_folder": "/woods"}, "not a folder below `path`"),
        ({"test_folder": "../woods"}, "not a folder below `path`"),
        ({"test_folder": "train"}, "in different folders"),
        ({"valid_folder": "test/"}, "in different folders"),
        ({"resize": 7}, "resize = 7 is too small to cut 8 pixels out"),
        ({"std": [0.1, 0.0, 0.1]}, "must be positive"),
        ({"valid": -1}, "greater than or equal to 0"),
        ({"valid": 1.5}, "valid"),
    ],
)
def test_what_cannot_be_is_refused(table: dict[str, object], match: str) -> None:
    with pytest.raises(ValidationError, match=match):
        ImageFolderConfig.model_validate({"path": "woods", "size": 8, **table})


FILE = """
schema = 1
seeds = [0]
cut = 0.5
rounds = 1
data = { use = "image-folder", path = "woods", size = 8, valid = 6, augment = "pad-crop-flip", memory = "MEMORY" }
model = { name = "lenet_300_100" }
execution = { workers = 0, device = "cpu" }
train = { horizon = "6it", batch = 6, optimizer = { use = "adam", lr = 2e-3 } }
measure = { every = "3it" }

[[entry]]
name = "imp"
schedule = "rewind"
score = "magnitude"
select = "global"
"""


def test_a_run_on_streamed_images_gives_the_numbers_of_one_on_resident_images(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path)
    monkeypatch.setenv("PRUNEBENCH_DATA", str(tmp_path))
    rows = {}
    for memory in ("resident", "stream"):
        file = tmp_path / f"{memory}.toml"
        file.write_text(FILE.replace("MEMORY", memory))
        outcome = carry_out(prepare(Options(file, store=tmp_path / memory)), lambda event: None)
        assert not outcome.failed
        rows[memory] = [keys.canonical({k: row[k] for k in row if k in VALUES}) for row in outcome.rows]
    assert len(rows["resident"]) > 5
    assert rows["stream"] == rows["resident"]


VALUES = ("entry", "round", "split", "metric", "value", "iteration", "position", "density")


def test_an_image_of_no_kind_that_is_known_is_left_alone(tmp_path: Path) -> None:
    folder = write(tmp_path)
    content = io.BytesIO()
    picture(0, 0).save(content, "GIF")
    (folder / "train" / "ash" / "0.gif").write_bytes(content.getvalue())
    assert sum(load(tmp_path).info.sizes.values()) == 36


def test_files_that_may_be_images_and_are_not_read_are_noted(tmp_path: Path) -> None:
    folder = write(tmp_path)
    assert load(tmp_path).info.note == ""
    for number in range(6):
        picture(0, number).save(folder / "train" / "ash" / f"{number}.gif")
    for number in range(3):
        (folder / "test" / "birch" / f"raw{number}").write_bytes(b"pixels")
    picture(0, 9).save(folder / "train" / "loose.png")
    note = "10 of 46 files are left out: 6 .gif, 3 without an ending, 1 .png, 1 of them in no class"
    data = load(tmp_path)
    assert data.info.note == note
    assert sum(data.info.sizes.values()) == 36
    assert load(tmp_path, train=4).info.note == f"subset: 4 of 22 training images; {note}"


def test_transparency_and_several_pictures_in_a_file_are_noted(tmp_path: Path) -> None:
    folder = write(tmp_path)
    for number in range(2):
        picture(0, number, "RGBA").save(folder / "train" / "ash" / f"see{number}.png")
    frames = [picture(1, number).resize((12, 12)) for number in range(2)]
    frames[0].save(folder / "test" / "ash" / "two.webp", save_all=True, append_images=frames[1:])
    several = "1 images hold several pictures: the first is read"
    for background, how in (("none", "their stored colours are read"), ("white", "they are shown on white")):
        for memory in ("resident", "stream"):
            found = load(tmp_path, background=background, memory=memory)
            assert found.info.note == f"2 images have a channel of transparency: {how}; {several}"


def test_hidden_files_and_folders_are_no_images_and_no_classes(tmp_path: Path) -> None:
    folder = write(tmp_path)
    before = load(tmp_path).info
    for part in ("train", "test"):
        for hidden in (".ipynb_checkpoints", "__MACOSX", ".git/objects", "ash/.thumbnails", "ash/__MACOSX"):
            (folder / part / hidden).mkdir(parents=True)
            picture(0, 70).save(folder / part / hidden / "copy.png")
        (folder / part / ".DS_Store").write_bytes(b"x")
        (folder / part / "ash" / "._0.jpeg").write_bytes(b"x")
    assert load(tmp_path).info == before


def test_folders_that_are_called_like_images_are_none_and_pipes_are_named(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "train" / "ash" / "folder.png").mkdir()
    assert sum(load(tmp_path).info.sizes.values()) == 36
    os.mkfifo(folder / "train" / "ash" / "pipe.png")
    with pytest.raises(DataMissing, match=r"train/ash/pipe\.png in .* is no file but a pipe"):
        load(tmp_path)


def test_links_are_followed_and_circles_and_dead_ones_are_named(tmp_path: Path) -> None:
    folder = write(tmp_path)
    (folder / "test" / "ash").rename(tmp_path / "elsewhere")
    (folder / "test" / "ash").symlink_to(tmp_path / "elsewhere")
    assert sum(load(tmp_path).info.sizes.values()) == 36
    dead = folder / "train" / "birch" / "dead.png"
    dead.symlink_to(tmp_path / "nowhere.png")
    with pytest.raises(DataMissing, match=r"train/birch/dead\.png in .* is a link to nothing"):
        load(tmp_path)
    dead.unlink()
    (folder / "train" / "birch" / "round").symlink_to(folder / "train")
    with pytest.raises(DataMissing, match="is a link to a folder that it lies in"):
        load(tmp_path)


def test_one_class_is_refused_by_name(tmp_path: Path) -> None:
    folder = write(tmp_path)
    for name in CLASSES[1:]:
        for part in ("train", "test"):
            (folder / part / name).rename(folder / part / f".{name}")
    with pytest.raises(DataMissing, match=r"woods/train has one class, ash: there is nothing to tell apart"):
        load(tmp_path)


def test_a_class_whose_images_are_of_other_kinds_says_which(tmp_path: Path) -> None:
    folder = write(tmp_path)
    for number in range(TEST):
        next((folder / "test" / "birch").glob(f"{number}.*")).rename(folder / "test" / "birch" / f"{number}.heic")
    with pytest.raises(DataMissing, match=r"no images in .*test/birch.*; it holds 4 \.heic"):
        load(tmp_path)


def test_a_name_that_is_not_in_utf_8_is_named(tmp_path: Path) -> None:
    folder = write(tmp_path)
    name = os.fsencode(folder / "train" / "cedar") + b"/caf\xe9.png"
    with open(name, "wb") as file:
        picture(2, 9).save(file, "PNG")
    with pytest.raises(DataMissing, match=r"the name of train/cedar/caf\\udce9\.png in .* is not in UTF-8"):
        load(tmp_path)


@pytest.mark.parametrize("memory", ["resident", "stream"])
@pytest.mark.parametrize("kind", ["PostScript", "a bomb", "floating point", "a narrow strip"])
def test_what_is_not_opened_is_refused_with_its_name_before_anything_is_decoded(
    tmp_path: Path, kind: str, memory: str
) -> None:
    from plugins.data.test_pictures import BOMBS, FOREIGN

    content = io.BytesIO()
    if kind == "floating point":
        Image.new("F", (9, 9)).save(content, "TIFF")
    elif kind == "a narrow strip":
        Image.new("L", (60_000, 1)).save(content, "PNG")
    else:
        content.write({"PostScript": FOREIGN["PostScript"], "a bomb": BOMBS["pixels"]}[kind])
    (write(tmp_path) / "train" / "ash" / "odd.png").write_bytes(content.getvalue())
    with pytest.raises(DataMissing, match=r"train/ash/odd\.png in .*woods (is no image|has )"):
        load(tmp_path, memory=memory, size=64)


def test_a_resident_set_is_decoded_once_and_not_for_planning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    seen: list[str] = []
    decode = _image_files.decoded

    def counted(source: Source, name: str, *more: Any) -> Tensor:
        seen.append(name)
        return decode(source, name, *more)

    monkeypatch.setattr(_image_files, "decoded", counted)
    data = load(tmp_path, memory="resident")
    assert data.info.sizes == {"train": 22, "valid": 2, "test": 12}
    assert seen == []
    for _ in range(2):
        for name in data.splits:
            list(data[name].batches(in_order(data[name].size, 5)))
    assert len(seen) == len(set(seen)) == 36


def test_a_folder_may_lie_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    elsewhere = tmp_path / "home"
    write(elsewhere)
    monkeypatch.setenv("HOME", str(elsewhere))
    root = tmp_path / "root"
    wanted = load(elsewhere).info
    assert load(root, path=str(elsewhere / "woods")).info == wanted
    assert load(root, path="~/woods").info == wanted
    for absent in ("~/forest", str(tmp_path / "forest"), "~nobody-of-this-name/woods"):
        with pytest.raises(DataMissing, match=absent):
            load(root, path=absent)


def test_there_is_nothing_to_fetch_and_what_is_absent_is_told(tmp_path: Path) -> None:
    source = ImageFolder(ImageFolderConfig(path="woods"))
    with pytest.raises(DataMissing, match="Put the"):
        source.prunebench_downloads(tmp_path)
    write(tmp_path)
    assert source.prunebench_downloads(tmp_path) == []
