import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from prunebench import DataMissing, PlanError
from prunebench.api.data import Resident, in_order
from prunebench.api.info import DataInfo
from prunebench.api.random import Streams
from prunebench.kernels.weight_units import classifier_weights, layer_weights
from prunebench.testing import ModelContract
from prunebench_plugins.data.cifar10 import Cifar10, Cifar10Config
from prunebench_plugins.models.timm_ import Timm, TimmConfig

CIFAR = DataInfo("toy", "0", {"train": 1}, (3, 32, 32), 10)
ROOT = Path(os.environ.get("PRUNEBENCH_DATA", "."))


class TestCifarResNet20(ModelContract):
    component = {"use": "timm", "name": "cifar_resnet20"}
    shape = (3, 32, 32)
    classes = 10


class TestCifarResNet8(ModelContract):
    component = {"use": "timm", "name": "cifar_resnet8"}
    shape = (3, 32, 32)
    classes = 10


class TestCifarResNet20WithProjectionsOnOddGreyImages(ModelContract):
    component = {"use": "timm", "name": "cifar_resnet20", "args": {"shortcut": "B", "norm_affine": False}}
    shape = (1, 9, 14)
    classes = 7


def build(depth: int, **args: object) -> nn.Module:
    return Timm(TimmConfig.model_validate({"name": f"cifar_resnet{depth}", "args": args})).prunebench_model(CIFAR)


def size(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


# He et al. 2016, table 6, in millions, without projections.
@pytest.mark.parametrize(("depth", "published"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_the_sizes_are_the_published_ones(depth: int, published: float) -> None:
    with torch.device("meta"):
        model = build(depth)
        projected = build(depth, shortcut="B")
    digits = len(str(published).partition(".")[2])
    assert round(size(model) / 1e6, digits) == published
    assert len(layer_weights(model)) == depth
    # Two projections of 16 to 32 and of 32 to 64 channels, each with a norm layer.
    assert size(projected) - size(model) == 16 * 32 + 32 * 64 + 2 * (32 + 64)


def test_the_smallest_has_a_block_in_each_stage() -> None:
    model = build(8)
    assert size(model) == 75_290
    assert len(layer_weights(model)) == 8


def test_only_projections_have_weights_on_shortcuts() -> None:
    assert not any("shortcut" in name for name in layer_weights(build(20)))
    assert [name for name in layer_weights(build(20, shortcut="B")) if "shortcut" in name] == [
        "layer2.0.shortcut.0.weight",
        "layer3.0.shortcut.0.weight",
    ]


def test_without_affine_norms_only_layers_with_weights_have_parameters() -> None:
    for shortcut in ("A", "B"):
        model = build(20, shortcut=shortcut, norm_affine=False)
        names = {name for name, _ in model.named_parameters()}
        assert names == {*layer_weights(model), "linear.bias"}


def test_the_classifier_is_the_last_layer() -> None:
    model = build(20).eval()
    assert classifier_weights(model) == {"linear.weight", "linear.bias"}
    model.reset_classifier(3)  # type: ignore[operator]
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 3)
    model.reset_classifier(0)  # type: ignore[operator]
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 64)


def test_a_padded_shortcut_keeps_every_second_pixel_between_channels_of_zeros() -> None:
    shortcut = build(20).get_submodule("layer2.0.shortcut")
    images = torch.rand(2, 16, 6, 4)
    out = shortcut(images)
    assert out.shape == (2, 32, 3, 2)
    assert torch.equal(out[:, 8:24], images[:, :, [0, 2, 4]][..., [0, 2]])
    assert not bool(out[:, :8].any() | out[:, 24:].any())


def test_an_unknown_shortcut_is_an_error() -> None:
    with pytest.raises(PlanError, match='cifar_resnet20: shortcut is "A" or "B", not \'C\''):
        build(20, shortcut="C")


def published(depth: int) -> dict[str, torch.Tensor]:
    path = ROOT / "weights" / f"resnet{depth}_cifar10.safetensors"
    if not path.is_file():
        pytest.skip(f"no weights/{path.name} under $PRUNEBENCH_DATA")
    return load_file(path)


@pytest.mark.parametrize("depth", [20, 32, 44, 56])
def test_published_weights_load(depth: int) -> None:
    weights = published(depth)
    model = build(depth)
    # The published files leave out the counters of batches.
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert unexpected == []
    assert all(name.endswith("num_batches_tracked") for name in missing)


@pytest.fixture
def images() -> Resident:
    try:
        data = Cifar10(Cifar10Config()).prunebench_data(ROOT, Streams(0).rng("split"))
    except DataMissing:
        pytest.skip("no cifar10 under $PRUNEBENCH_DATA")
    test = data["test"]
    assert isinstance(test, Resident)
    # As the weights were trained, rather than with CIFAR-10's own mean and spread.
    return replace(test, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


def test_published_weights_score_what_is_published(images: Resident) -> None:
    model = build(20)
    model.load_state_dict(published(20), strict=False)
    model.eval()
    right = 0
    with torch.no_grad():
        for batch, labels in images.batches(in_order(images.size, 500)):
            right += int((model(batch).argmax(1) == labels).sum())
    # 91.73 %; other processors round otherwise, which may tip an image or two.
    assert abs(right - 9_173) <= 2
