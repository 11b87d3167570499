import copy
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from engine.toy_runs import rows, run
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from prunebench import ComponentConfig
from prunebench.api.masks import Mask, Scores
from prunebench.kernels.selection import keep_highest
from prunebench.testing import ScoreContract, ToyData, some_mask, state, task_of, two_layer_net, weight_units
from prunebench_plugins.schedules.at_init import exponential
from prunebench_plugins.scores.synflow import Synflow

CLASSES = task_of({"use": "classification"})


class TestSynflow(ScoreContract):
    component = {"use": "synflow"}


def scored(model: nn.Module) -> Scores:
    return Synflow(ComponentConfig()).prunebench_score(model, ToyData().prunebench_data(), CLASSES, weight_units(model))


def network(seed: int, *, norm: bool = False) -> nn.Module:
    """Convolutions, pooling and linear layers without biases, for toy images."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        middle = [nn.BatchNorm2d(4)] if norm else []
        return nn.Sequential(
            nn.Conv2d(1, 4, 3, padding=1, bias=False),
            *middle,
            nn.ReLU(),
            nn.Conv2d(4, 5, 3, padding=1, bias=False),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(10, 6, bias=False),
            nn.ReLU(),
            nn.Linear(6, 3, bias=False),
        ).eval()


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 1_000), st.booleans(), st.sampled_from([None, 200, 100]))
def test_the_flow_is_conserved_so_that_the_scores_of_each_layer_sum_to_it(
    seed: int, norm: bool, count: int | None
) -> None:
    model = network(seed, norm=norm)
    units = weight_units(model)
    if count is not None:
        with torch.no_grad():
            for name, keep in units.expand(some_mask(units, count)).items():
                model.get_parameter(name).masked_fill_(~keep, 0.0)
    positive = copy.deepcopy(model).double()
    with torch.no_grad():
        for parameter in positive.parameters():
            parameter.abs_()
        flow = float(positive(torch.ones(1, 1, 2, 4, dtype=torch.float64)).sum())
    for values in scored(model).values:
        assert float(values.sum()) == pytest.approx(flow, rel=1e-9, abs=1e-300)


def test_the_score_is_the_flow_that_is_lost_without_the_weight() -> None:
    # The flow is linear in a weight of a network without batch norm or max pooling, so the product is exact.
    model = two_layer_net().eval()
    scores = scored(model).flat()
    positive = copy.deepcopy(model).double()
    ones = torch.ones(1, 1, 2, 4, dtype=torch.float64)
    lost = []
    with torch.no_grad():
        for parameter in positive.parameters():
            parameter.abs_()
        before = positive(ones).sum()
        for name in ("fc1.weight", "fc2.weight"):
            flat = positive.get_parameter(name).view(-1)
            for index, value in enumerate(flat.tolist()):
                flat[index] = 0.0
                lost.append(before - positive(ones).sum())
                flat[index] = value
    torch.testing.assert_close(scores, torch.stack(lost), rtol=1e-9, atol=1e-12)


def test_batch_norm_passes_the_flow_by_its_running_statistics_and_the_size_of_its_scale() -> None:
    model = network(0, norm=True)
    norm = model[1]
    assert isinstance(norm, nn.BatchNorm2d)
    before = scored(model).flat()
    with torch.no_grad():
        norm.weight.fill_(-2.0)
        assert norm.running_var is not None
        norm.running_var.fill_(4.0)
        norm.eps = norm.eps * 4
    torch.testing.assert_close(scored(model).flat(), before)


def test_a_deep_network_with_large_weights_does_not_overflow() -> None:
    model = nn.Sequential(nn.Flatten(), *(nn.Linear(8, 8, bias=False) for _ in range(40))).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(100.0)
    scores = scored(model).flat()
    assert bool(scores.isfinite().all())
    assert float(scores.min()) > 3.5e38


def test_signs_are_forgotten_and_the_network_is_left_as_it_was() -> None:
    model = network(3)
    before = state(model)
    scores = scored(model).flat()
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert all(parameter.grad is None for parameter in model.parameters())
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.neg_()
    assert torch.equal(scored(model).flat(), scores)


def after_prunings(steps: int, count: int) -> Mask:
    """What a wide network without biases keeps, scored anew before each of so many prunings."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.Linear(a, b, bias=False) for a, b in pairwise((8, 60, 60, 3))]
    model = nn.Sequential(nn.Flatten(), layers[0], nn.ReLU(), layers[1], nn.ReLU(), layers[2]).eval()
    units = weight_units(model)
    mask = Mask.full(units.layers)
    for kept in exponential(units.count, count, steps):
        mask = Mask(keep_highest(scored(model).values, mask.keep, kept))
        with torch.no_grad():
            for name, keep in units.expand(mask).items():
                model.get_parameter(name).masked_fill_(~keep, 0.0)
    return mask


def test_many_steps_keep_every_layer_alive_where_one_cut_empties_one() -> None:
    once, often = after_prunings(1, 12), after_prunings(100, 12)
    assert once.count == often.count == 12
    assert min(once.counts) == 0
    assert min(often.counts) > 0


def test_it_prunes_a_network_end_to_end(tmp_path: Path) -> None:
    schedule = {"use": "at-init", "steps": 4, "iterative": True}
    outcome = run(tmp_path, {"entry": [{"name": "imp", "schedule": schedule, "score": "synflow"}]})
    assert {row["outcome"] for row in rows(outcome, entry="imp")} == {"ok"}
    assert {row["density"] for row in rows(outcome, entry="imp")} == {53 / 66, 42 / 66}
