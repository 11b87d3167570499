import pytest
import torch
from pydantic import ValidationError
from torch import nn

from prunebench.api.random import Streams
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager
from prunebench.testing import InitialiseContract, same, state
from prunebench_plugins.initialisers.bn_scale import BnScaleConfig


class TestBnScale(InitialiseContract):
    component = {"use": "bn-scale"}


class TestBnScaleWithXavier(InitialiseContract):
    component = {"use": "bn-scale", "value": 0.25, "weights": "xavier_normal"}


def drawn(component: object) -> nn.Module:
    model = nn.Sequential(
        nn.Conv2d(32, 64, 3), nn.BatchNorm2d(64), nn.GroupNorm(2, 64), nn.BatchNorm2d(64, affine=False), nn.Linear(9, 4)
    )
    use = Catalogue.load().use(component)  # type: ignore[arg-type]
    answer: nn.Module = run_manager([use]).hook.prunebench_initialise(model=model, rng=Streams(0).rng("init"))
    return answer


@pytest.mark.parametrize("weights", ["kaiming_normal", "kaiming_uniform", "xavier_normal"])
def test_only_the_scales_differ_from_the_initialiser_of_that_name(weights: str) -> None:
    with torch.no_grad():
        for value in (0.5, 2.0):
            scaled = drawn({"use": "bn-scale", "value": value, "weights": weights})
            for norm in ("1", "2"):
                assert bool((scaled.get_parameter(f"{norm}.weight") == value).all())
                assert not bool(scaled.get_parameter(f"{norm}.bias").any())
                scaled.get_parameter(f"{norm}.weight").fill_(1.0)
            assert same(state(scaled), state(drawn(weights)))


def test_the_value_is_one_half_unless_another_is_stated() -> None:
    assert bool((drawn("bn-scale").get_parameter("1.weight") == 0.5).all())


@pytest.mark.parametrize("weights", ["kaiming_normal", "kaiming_uniform"])
def test_the_fan_chooses_the_side_whose_variance_is_kept(weights: str) -> None:
    for fan, channels in (("in", 32), ("out", 64)):
        weight = drawn({"use": "bn-scale", "weights": weights, "fan": fan}).get_parameter("0.weight").detach()
        assert float(weight.var()) == pytest.approx(2 / (9 * channels), rel=0.05)


def test_a_scale_must_be_positive() -> None:
    with pytest.raises(ValidationError):
        BnScaleConfig(value=0)
