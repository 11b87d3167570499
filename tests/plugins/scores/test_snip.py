import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from prunebench.api.data import Gather
from prunebench.api.random import Streams
from prunebench.testing import ScoreContract, ToyData, some_mask, state, task_of, two_layer_net, weight_units
from prunebench_plugins.scores.snip import Snip, SnipConfig

CLASSES = task_of({"use": "classification"})

RNG = Streams(0, round=1).rng("score")


class TestSnip(ScoreContract):
    component = {"use": "snip"}


class TestSnipOverBatches(ScoreContract):
    component = {"use": "snip", "batch": 20, "batches": 6, "batch_norm": "running"}


def scored(model: nn.Module, **fields: object) -> torch.Tensor:
    config = SnipConfig.model_validate(fields)
    return Snip(config).prunebench_score(model, ToyData().prunebench_data(), CLASSES, weight_units(model), RNG).flat()


def whole_loss(model: nn.Module) -> torch.Tensor:
    """The mean loss over the 96 training images, in float64."""
    ((images, labels),) = ToyData().prunebench_data()["train"].batches([Gather(torch.arange(96))])
    return functional.cross_entropy(model(images.double()), labels)


class Tiny(nn.Module):
    """A convolution with batch norm."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(1)
            self.conv, self.norm, self.head = nn.Conv2d(1, 2, 1), nn.BatchNorm2d(2), nn.Linear(16, 3)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = self.head(self.norm(self.conv(images)).relu().flatten(1))
        return out


def test_the_score_is_the_sensitivity_of_the_loss_to_a_factor_on_each_weight() -> None:
    model = two_layer_net().double().eval()
    scores = scored(model, batch=96)
    step = 1e-6
    found = []
    for name in ("fc1.weight", "fc2.weight"):
        for index in range(model.get_parameter(name).numel()):
            losses = []
            for factor in (1 + step, 1 - step):
                other = copy.deepcopy(model)
                with torch.no_grad():
                    other.get_parameter(name).view(-1)[index] *= factor
                    losses.append(whole_loss(other))
            found.append((losses[0] - losses[1]).abs() / (2 * step))
    torch.testing.assert_close(scores, torch.stack(found), rtol=1e-5, atol=1e-9)


def test_batches_without_overlap_add_up_to_the_gradient_of_them_all() -> None:
    model = two_layer_net().double().eval()
    torch.testing.assert_close(scored(model, batch=24, batches=4), scored(model, batch=96))
    assert not torch.allclose(scored(model, batch=24), scored(model, batch=96))


def test_dead_weights_score_nothing_and_the_masked_network_is_what_is_scored() -> None:
    model = two_layer_net().double().eval()
    dense = scored(model, batch=96)
    units = weight_units(model)
    mask = some_mask(units, 30)
    with torch.no_grad():
        for name, keep in units.expand(mask).items():
            model.get_parameter(name).masked_fill_(~keep, 0.0)
    scores = scored(model, batch=96)
    assert not bool(scores[~mask.flat()].any())
    assert bool(scores[mask.flat()].any())
    assert not torch.allclose(scores[mask.flat()], dense[mask.flat()])


def test_gradients_and_the_statistics_of_batch_norm_stay_as_found() -> None:
    model = Tiny().eval()
    model.head.weight.grad = torch.full_like(model.head.weight, 7.0)
    before = state(model)
    versions = {name: value._version for name, value in model.state_dict(keep_vars=True).items()}
    scored(model, batch=32)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert versions == {name: value._version for name, value in model.state_dict(keep_vars=True).items()}
    assert bool((model.head.weight.grad == 7.0).all())
    assert model.conv.weight.grad is None
    assert not model.norm.training


def test_batch_norm_uses_the_statistics_that_are_named() -> None:
    model = Tiny().double().eval()
    for kind in ("batch", "running"):
        twin = copy.deepcopy(model)
        twin.norm.train(kind == "batch")
        gradient = torch.autograd.grad(whole_loss(twin), [twin.conv.weight, twin.head.weight])
        expected = torch.cat(
            [(g * p).abs().flatten() for g, p in zip(gradient, (twin.conv.weight, twin.head.weight), strict=True)]
        )
        torch.testing.assert_close(scored(model, batch=96, batch_norm=kind), expected.detach())


@pytest.mark.parametrize("batch", [96, 97, 10_000])
def test_a_batch_larger_than_the_split_is_the_whole_split(batch: int) -> None:
    model = two_layer_net().double().eval()
    torch.testing.assert_close(scored(model, batch=batch), scored(model, batch=48, batches=2))
