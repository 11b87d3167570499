import re

import pytest
import timm
import torch
from pydantic import ValidationError
from torch import nn

from prunebench import PlanError
from prunebench.api.info import DataInfo
from prunebench.testing import ModelContract
from prunebench_plugins.models import architectures, timm_
from prunebench_plugins.models.timm_ import Timm, TimmConfig


class TestLeNet(ModelContract):
    component = {"use": "timm", "name": "lenet_300_100"}
    shape = (1, 28, 28)
    classes = 10


class TestNarrowLeNetOnWideColourImages(ModelContract):
    component = {"use": "timm", "name": "lenet_300_100", "args": {"widths": [20, 10, 5]}}
    shape = (3, 4, 6)
    classes = 7


class TestATimmNetwork(ModelContract):
    component = {"use": "timm", "name": "resnet10t"}
    shape = (3, 32, 32)
    classes = 5


class TestATimmNetworkWithAnImageSize(ModelContract):
    component = {
        "use": "timm",
        "name": "vit_tiny_patch16_224",
        "args": {"img_size": 32, "patch_size": 8, "depth": 1, "embed_dim": 24},
    }
    shape = (3, 32, 32)
    classes = 5


def test_the_page_of_the_component_names_every_network_that_is_added() -> None:
    added = {name for name in timm.list_models() if timm.model_entrypoint(name).__module__.startswith("prunebench_")}
    assert architectures.lenet_300_100.__name__ in added
    assert added <= set(re.findall(r"\w+", timm_.__doc__ or ""))


MNIST = DataInfo("mnist", "0", {"train": 1}, (1, 28, 28), 10)


def build(name: str, **args: object) -> nn.Module:
    return Timm(TimmConfig.model_validate({"name": name, "args": args})).prunebench_model(MNIST)


def test_lenet_has_266_610_parameters_in_three_layers() -> None:
    shapes = {name: tuple(p.shape) for name, p in build("lenet_300_100").named_parameters()}
    assert shapes == {
        "fc1.weight": (300, 784),
        "fc1.bias": (300,),
        "fc2.weight": (100, 300),
        "fc2.bias": (100,),
        "head.weight": (10, 100),
        "head.bias": (10,),
    }
    assert sum(p.numel() for p in build("lenet_300_100").parameters()) == 266_610


def test_lenet_has_timms_classifier_interface() -> None:
    model = build("lenet_300_100")
    assert model.get_classifier() is model.head  # type: ignore[operator]
    images = torch.zeros(2, 1, 28, 28)
    assert model.forward_features(images).shape == (2, 100)  # type: ignore[operator]
    model.reset_classifier(3)  # type: ignore[operator]
    assert model(images).shape == (2, 3)
    model.reset_classifier(0)  # type: ignore[operator]
    assert model(images).shape == (2, 100)


def test_lenet_computes_what_its_layers_say() -> None:
    model = build("lenet_300_100")
    images = torch.linspace(-1, 1, 2 * 784).view(2, 1, 28, 28)
    fc1, fc2, head = (model.get_submodule(name) for name in ("fc1", "fc2", "head"))
    expected = head(torch.relu(fc2(torch.relu(fc1(images.reshape(2, 784))))))
    assert torch.equal(model(images), expected)


@pytest.mark.parametrize("name", ["lenet_300_10", "LeNet", "hf-hub:timm/resnet18", "resnet1"])
def test_an_unknown_network_names_the_nearest(name: str) -> None:
    with pytest.raises(PlanError, match=f'no network "{name}"'):
        build(name)
    with pytest.raises(PlanError, match='"lenet_300_100"'):
        build("lenet_300_10")


def test_weights_are_published_where_a_tag_or_the_file_asks_for_them() -> None:
    plain, tagged = (Timm(TimmConfig(name=name)) for name in ("resnet18", "resnet18.a1_in1k"))
    assert plain.prunebench_pretrained(asked=False, revision=None) is None
    (asked, named) = (one.prunebench_pretrained(asked=one is plain, revision=None) for one in (plain, tagged))
    assert asked is not None
    assert named is not None
    assert (named.name, named.outputs, len(named.classes)) == ("resnet18.a1_in1k", 1_000, 1_000)
    assert asked.name.startswith("resnet18.")
    with pytest.raises(PlanError, match="Did you mean"):
        Timm(TimmConfig(name="resnet18.a1_in2k")).prunebench_pretrained(asked=False, revision=None)


def test_an_argument_that_the_network_lacks_is_an_error() -> None:
    with pytest.raises(PlanError, match="width"):
        build("lenet_300_100", width=[3])


@pytest.mark.parametrize("argument", ["pretrained", "num_classes", "in_chans", "checkpoint_path"])
def test_what_follows_from_elsewhere_cannot_be_an_argument(argument: str) -> None:
    with pytest.raises(ValidationError, match=argument):
        TimmConfig.model_validate({"name": "resnet18", "args": {argument: True}})


def test_building_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    build("lenet_300_100")
    assert caplog.records == []
