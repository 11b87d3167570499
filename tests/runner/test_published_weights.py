"""Weights that were published with a network: fetched by timm's own download, prepared for, and judged as timm does.

The hub is a server on 127.0.0.1 that answers as huggingface.co does.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
from PIL import Image
from safetensors.torch import save, save_file
from timm.data.config import resolve_data_config
from timm.data.imagenet_info import ImageNetInfo
from timm.data.transforms_factory import create_transform
from torch import Tensor

from prunebench.api.errors import ConfigError, PlanError, PrunebenchError
from prunebench.runner import Options, prepare
from prunebench.runner.published_weights import FetchedWeights, absent_weights, fetch_weights, published_weights

NAME = "test_resnet.r160_in1k"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
CLASSES = [ImageNetInfo().label_names()[row] for row in (7, 401, 902)]


def network(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    model: torch.nn.Module = timm.create_model("test_resnet").eval()
    return model


class Hub(BaseHTTPRequestHandler):
    """`/REPOSITORY/resolve/REVISION/FILE`, as huggingface.co answers it."""

    content = b""
    asked: list[str] = []

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def do_GET(self) -> None:
        self._answer(body=True)

    def _answer(self, body: bool) -> None:
        self.asked.append(self.path)
        there = self.path.endswith("/model.safetensors") and "/resolve/" in self.path
        self.send_response(200 if there else 404)
        if not there:
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        if body:
            self.wfile.write(self.content)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    Hub.content, Hub.asked = save(network().state_dict()), []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def fetched(root: Path, endpoint: str, *more: str) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HTTP", "http", "ALL_PROXY"))}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(root / "hub"), "PRUNEBENCH_DATA": str(root / "data")}
    environment |= {"HF_HUB_DISABLE_TELEMETRY": "1", "NO_PROXY": "127.0.0.1"}
    command = [sys.executable, "-c", "from prunebench.commands.main import main; main()", "weights", "fetch", NAME]
    return subprocess.run([*command, *more], env=environment, capture_output=True, text=True)


def test_weights_are_fetched_by_timms_own_download(tmp_path: Path, hub: str) -> None:
    answer = fetched(tmp_path, hub, "--revision", "v1")
    assert answer.returncode == 0, answer.stderr
    file = tmp_path / "data" / "weights" / "timm" / f"{NAME}@v1.safetensors"
    assert file.read_bytes() == Hub.content  # as it lies on the hub, to the byte
    assert f"/timm/{NAME}/resolve/v1/model.safetensors" in Hub.asked
    digest = hashlib.sha256(Hub.content).hexdigest()
    note = json.loads(file.with_name(f"{file.name}.json").read_text())
    assert note == {"origin": f"timm/{NAME}@{COMMIT}/model.safetensors", "sha256": digest}
    assert f"sha256 {digest}" in answer.stdout
    assert "1,000 classes; images of 160 pixels" in answer.stdout


def test_without_a_network_the_error_says_what_to_put_where(tmp_path: Path) -> None:
    answer = fetched(tmp_path, "http://127.0.0.1:9")
    assert answer.returncode == 2
    assert f"Get model.safetensors of timm/{NAME} at huggingface.co by other means and put it at" in answer.stderr
    assert f"put it at {tmp_path}/data/weights/timm/{NAME}.safetensors\n" in answer.stderr
    assert "Traceback" not in answer.stderr


# Planning and judging.


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data root with 12 images of three of ImageNet's classes, and the file where it belongs."""
    root = tmp_path / "data"
    generator = torch.Generator().manual_seed(5)
    for split in ("train", "val"):
        for label, name in enumerate(CLASSES):
            folder = root / "three" / split / name
            folder.mkdir(parents=True)
            for index in range(2):
                pixels = torch.randint(0, 256, (200 + 8 * label, 180, 3), generator=generator, dtype=torch.uint8)
                Image.fromarray(pixels.numpy()).resize((180, 200)).save(folder / f"{index}.png")
    put(root, network().state_dict())
    monkeypatch.setenv("PRUNEBENCH_DATA", str(root))
    return root


def put(root: Path, state: dict[str, Tensor]) -> Path:
    file = root / "weights" / "timm" / f"{NAME}.safetensors"
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, file)
    return file


FILE = """
schema = 1
seeds = [0, 1]

[data]
use = "image-folder"
path = "three"
test_folder = "val"
valid = 0
{data}

[model]
{model}

[train]
horizon = "0it"
batch = 2
optimizer = {{ use = "sgd", lr = 0.1 }}

[measure]
splits = ["test"]

[[entry]]
name = "dense"

[execution]
workers = 0
"""


def options(root: Path, model: str = f'name = "{NAME}"', data: str = "") -> Options:
    file = root.parent / "published.toml"
    file.write_text(FILE.format(model=model, data=data))
    return Options(file, store=root.parent / "store")


def judged(given: Options) -> dict[int, float]:
    from prunebench.runner import run

    outcome = run(prepare(given))
    return {row.seed: row.value for row in outcome.rows if row.metric == "loss" and row.value is not None}


def timms_loss(model: torch.nn.Module, root: Path) -> float:
    """The loss over the three classes of images as timm's own transform gives them."""
    data = resolve_data_config(pretrained_cfg=model.pretrained_cfg)
    transform = create_transform(
        data["input_size"],
        mean=data["mean"],
        std=data["std"],
        interpolation=data["interpolation"],
        crop_pct=data["crop_pct"],
    )
    rows = [ImageNetInfo().label_names().index(name) for name in CLASSES]
    inputs, targets = [], []
    for label, name in enumerate(CLASSES):
        for file in sorted((root / "three" / "val" / name).iterdir()):
            with Image.open(file) as image:
                inputs.append(transform(image.convert("RGB")))
            targets.append(label)
    with torch.no_grad():
        outputs = model(torch.stack(inputs))[:, rows]
    return float(torch.nn.functional.cross_entropy(outputs, torch.tensor(targets)))


def test_a_class_subset_is_judged_by_the_classes_outputs_as_timm_sees_the_images(root: Path) -> None:
    found = judged(options(root))
    assert set(found) == {0, 1}
    assert found[0] == found[1]  # of one file, whatever the seed
    assert found[0] == pytest.approx(timms_loss(network(), root), rel=1e-5)
    (trial, *_) = prepare(options(root)).plan.trials
    assert "of its 1,000 outputs the data's 3 are kept" in trial.weights_note


def test_pretrained_is_the_networks_first_tag(root: Path) -> None:
    by_name, asked = (
        prepare(options(root, model)).plan.trials[0].evaluations[0].run.ticket.weights
        for model in (f'name = "{NAME}"', 'name = "test_resnet"\npretrained = true')
    )
    assert by_name != asked  # another name is another network
    assert published_weights("test_resnet").file == published_weights(NAME).file


def test_the_digest_of_the_file_is_in_the_key(root: Path) -> None:
    before = prepare(options(root)).plan.trials[0].evaluations[0].run.ticket.weights
    put(root, network(seed=1).state_dict())
    assert prepare(options(root)).plan.trials[0].evaluations[0].run.ticket.weights != before


def errors(given: Options) -> str:
    with pytest.raises(ConfigError) as found:
        prepare(given)
    return str(found.value)


def test_a_preprocessing_that_the_file_states_otherwise_is_an_error_unless_it_is_its_own(root: Path) -> None:
    text = errors(options(root, data="size = 64"))
    assert "`size` is stated as 64, and the network was trained with 160" in text
    prepare(options(root, data='size = 64\ntransform = "own"'))


def test_classes_that_the_head_lacks_are_named(root: Path) -> None:
    for split in ("train", "val"):
        (root / "three" / split / CLASSES[0]).rename(root / "three" / split / "zebra")
    assert 'such as "zebra", are not among them' in errors(options(root))
    prepare(options(root, f'name = "{NAME}"\nfresh_head = true'))


def test_a_file_that_is_not_there_is_missed_with_the_command(root: Path) -> None:
    put(root, {}).unlink()
    text = errors(options(root))
    assert f"run `prunebench weights fetch {NAME}`" in text
    assert f"or put model.safetensors of timm/{NAME} at huggingface.co there" in text
    assert [one.name for one in absent_weights(options(root))] == [NAME]


def test_a_tag_that_nobody_published_is_an_error_with_the_nearest(root: Path) -> None:
    assert 'Did you mean "test_resnet.r160_in1k"?' in errors(options(root, 'name = "test_resnet.r161_in1k"'))
    assert "no weights were published" in errors(options(root, 'name = "lenet_300_100"\npretrained = true'))
    with pytest.raises(PlanError, match="no weights were published"):
        published_weights("lenet_300_100")


def test_a_fetched_file_that_is_there_is_left(root: Path) -> None:
    found: FetchedWeights = fetch_weights(published_weights(NAME), root)
    assert not found.fresh
    assert found.origin == ""


# Files of torch.save.


def test_a_checkpoint_is_read_as_tensors_and_what_was_taken_off_is_named(root: Path) -> None:
    state = {f"module._orig_mod.{name}": value for name, value in network(seed=2).state_dict().items()}
    torch.save({"epoch": 3, "state_dict": state}, root / "mine.pth")
    given = options(root, f'name = "{NAME}"\nweights = "mine.pth"')
    (trial, *_) = prepare(given).plan.trials
    assert 'taken off in its file: "state_dict", "_orig_mod.", "module."' in trial.weights_note
    assert judged(given)[0] == pytest.approx(timms_loss(network(seed=2), root), rel=1e-5)


def test_tensors_under_other_names_are_matched_in_order(root: Path) -> None:
    state = {f"t{i}": value for i, (n, value) in enumerate(network(seed=3).state_dict().items()) if "tracked" not in n}
    torch.save(state, root / "other.bin")
    given = options(root, f'name = "{NAME}"\nweights = "other.bin"\nweights_by = "order"')
    assert judged(given)[0] == pytest.approx(timms_loss(network(seed=3), root), rel=1e-5)
    torch.save(dict(reversed(state.items())), root / "other.bin")
    assert "has not the network's tensors in its order: t" in errors(given)


def test_a_checkpoint_that_would_run_code_is_refused(root: Path) -> None:
    torch.save(network(), root / "whole.pth")
    text = errors(options(root, f'name = "{NAME}"\nweights = "whole.pth"'))
    assert "it holds more than tensors and plain values" in text


def test_a_file_of_a_package_is_found_without_importing_it(
    root: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    package = tmp_path / "site" / "some_weights"
    (package / "models").mkdir(parents=True)
    (package / "__init__.py").write_text("raise AssertionError")
    torch.save(network(seed=4).state_dict(), package / "models" / "net.pth")
    monkeypatch.syspath_prepend(package.parent)
    given = options(root, f'name = "{NAME}"\nweights = "pkg:some_weights/models/net.pth"')
    assert judged(given)[0] == pytest.approx(timms_loss(network(seed=4), root), rel=1e-5)
    assert 'no package "other_weights" is installed' in errors(
        options(root, f'name = "{NAME}"\nweights = "pkg:other_weights/net.pth"')
    )
    assert "is no file of a package" in errors(
        options(root, f'name = "{NAME}"\nweights = "pkg:some_weights/../net.pth"')
    )


def test_a_download_that_fails_names_no_secret_and_leaves_nothing(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> str:
        raise OSError("connection refused")

    monkeypatch.setattr("timm.models._hub.download_from_hf", broken)
    put(root, {}).unlink()
    with pytest.raises(PrunebenchError, match="could not be downloaded"):
        fetch_weights(published_weights(NAME), root)
    assert list((root / "weights" / "timm").iterdir()) == []
