from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from prunebench import CannotTakePart, PlanError
from prunebench.api.info import DataInfo
from prunebench.api.masks import Mask, Units
from prunebench.testing import UnitsContract
from prunebench_plugins.units.weights import Weights, WeightsConfig

INFO = DataInfo("noise", "0", {"train": 8}, (1, 2, 4), 3)


def conv_net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        OrderedDict(
            conv=nn.Conv2d(1, 4, 3, padding=1),
            norm=nn.BatchNorm2d(4),
            shortcut=nn.Conv2d(4, 4, 1, bias=False),
            flatten=nn.Flatten(),
            hidden=nn.Linear(32, 6),
            output=nn.Linear(6, 3),
        )
    )


def units(model: nn.Module, **config: Any) -> Units:
    return Weights(WeightsConfig.model_validate(config)).prunebench_units(model, INFO, torch.zeros(1, *INFO.shape))


def names(model: nn.Module, **config: Any) -> list[str]:
    return [layer.name for layer in units(model, **config).layers]


class TestWeights(UnitsContract):
    component = {"use": "weights"}

    def model(self) -> nn.Module:
        return conv_net()


class TestWeightsOfTheClassifierToo(UnitsContract):
    component = {"use": "weights", "classifier": True, "exclude": ["shortcut*"]}

    def model(self) -> nn.Module:
        return conv_net()


def test_convolutions_and_linear_layers_but_the_last_are_prunable() -> None:
    assert names(conv_net()) == ["conv.weight", "shortcut.weight", "hidden.weight"]
    assert [layer.kind for layer in units(conv_net()).layers] == ["conv", "conv", "linear"]
    assert [layer.count for layer in units(conv_net()).layers] == [36, 16, 192]


def test_the_papers_choices_are_options() -> None:
    assert names(conv_net(), kinds=["conv"]) == ["conv.weight", "shortcut.weight"]
    assert names(conv_net(), exclude=["shortcut*"]) == ["conv.weight", "hidden.weight"]
    assert names(conv_net(), classifier=True, kinds=["linear"]) == ["hidden.weight", "output.weight"]
    assert names(conv_net(), include=["conv*", "hidden*"]) == ["conv.weight", "hidden.weight"]


@pytest.mark.parametrize(
    "name", ["resnet18", "vit_tiny_patch16_224", "mobilenetv3_small_050", "deit_tiny_distilled_patch16_224"]
)
def test_timms_classifier_is_spared(name: str) -> None:
    with torch.device("meta"):
        model = timm.create_model(name, num_classes=10)
    without, everything = names(model), names(model, classifier=True)
    spared = set(everything) - set(without)
    assert spared
    assert all(model.get_parameter(weight).shape[0] == 10 for weight in spared)


def test_a_shared_weight_is_one_layer() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 2))
    model[1].weight = model[0].weight
    assert names(model) == ["0.weight"]


@pytest.mark.parametrize("field", ["include", "exclude"])
def test_a_pattern_that_matches_nothing_names_the_nearest(field: str) -> None:
    with pytest.raises(PlanError, match=rf'{field}: "shortcat\*" matches no prunable layer.*"shortcut.weight"'):
        units(conv_net(), **{field: ["shortcat*"]})


def test_a_pattern_for_the_classifier_says_how_to_prune_it() -> None:
    with pytest.raises(PlanError, match="classifier = true"):
        units(conv_net(), include=["output*"])


def test_nothing_to_prune_is_an_error() -> None:
    with pytest.raises(PlanError, match="no layer is left"):
        units(nn.Sequential(nn.Linear(3, 2)))


def test_unit_numbers_do_not_depend_on_the_memory_format() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Linear(2, 2))
    plain = units(model).reduce(lambda name, weight: weight).flat()
    model.to(memory_format=torch.channels_last)
    assert torch.equal(plain, units(model).reduce(lambda name, weight: weight).flat())


def test_a_mask_unfolds_into_the_shape_of_the_weight() -> None:
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 2))
    keep: Mapping[str, Tensor] = units(model).expand(Mask((torch.tensor([True, False, True, False, True, True]),)))
    assert keep["0.weight"].tolist() == [[True, False, True], [False, True, True]]


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("norm", [nn.utils.parametrizations.weight_norm, nn.utils.weight_norm])
def test_both_forms_of_weight_norm_are_refused_by_name(norm: Callable[[nn.Module], nn.Module]) -> None:
    net = nn.Sequential(norm(nn.Conv2d(1, 4, 3)), nn.ReLU(), nn.Conv2d(4, 4, 3), nn.Flatten(), nn.Linear(64, 3))
    info = DataInfo("noise", "0", {"train": 8}, (1, 8, 8), 3)
    with pytest.raises(CannotTakePart, match=r"WeightNorm computes 0\.weight from it"):
        Weights(WeightsConfig()).prunebench_units(net, info, torch.zeros(1, 1, 8, 8))
