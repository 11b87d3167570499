from itertools import pairwise
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from prunebench.api.masks import Mask, Units
from prunebench.api.training import MaskUpdate
from prunebench.testing import MaskUpdateContract, some_mask, two_layer_net, weight_units
from prunebench_plugins.mask_updates._exchange import cubic
from prunebench_plugins.mask_updates.gradual_magnitude import GradualMagnitude, GradualMagnitudeConfig


class TestGradualMagnitude(MaskUpdateContract):
    component = {"use": "gradual-magnitude", "every": "7it"}

    def start(self, units: Units) -> Mask:
        return Mask.full(units.layers)

    def test_no_pruned_unit_comes_back(self) -> None:
        _, masks = self.run()
        assert all(later.issubset(earlier) for earlier, later in pairwise(masks))
        assert len(masks) > 10


class TestGradualMagnitudeFromTheFirstStepToTheLast(MaskUpdateContract):
    component = {"use": "gradual-magnitude", "every": "60it", "end": "100%"}

    def start(self, units: Units) -> Mask:
        return Mask.full(units.layers)


def made(units: Units, count: int, horizon: int, **fields: Any) -> MaskUpdate:
    rule = GradualMagnitude(GradualMagnitudeConfig.model_validate(fields))
    (update,) = rule.prunebench_mask_updates(units, Mask.full(units.layers), count, horizon)
    return update


def test_prunings_are_at_the_start_at_every_so_many_steps_and_at_the_end() -> None:
    update = made(weight_units(two_layer_net()), 10, 100, start="10it", end="50%", every="15it")
    assert [step for step in range(100) if update.due(step)] == [10, 25, 40, 50]


def test_an_end_at_the_horizon_is_the_last_step() -> None:
    update = made(weight_units(two_layer_net()), 10, 100, start="0it", end="100%", every="40it")
    assert [step for step in range(101) if update.due(step)] == [0, 40, 80, 99]


def test_a_start_past_a_short_horizon_still_leaves_the_count() -> None:
    units = weight_units(two_layer_net())
    update = made(units, 10, 5, start="50it", end="60it", every="1it")
    assert [step for step in range(5) if update.due(step)] == [4]
    assert update.update(4, Mask.full(units.layers), {}).count == 10


def test_counts_follow_the_papers_curve_of_sparsity() -> None:
    # Zhu & Gupta 2017, equation 1: s_t = s_f + (s_i - s_f) * (1 - (t - t_0) / (n * dt)) ** 3.
    units = 1_000_000
    for step in range(100, 600, 25):
        sparsity = 0.9 + (0.25 - 0.9) * (1 - (step - 100) / 500) ** 3
        assert cubic(750_000, 100_000, 100, 600, step) == pytest.approx((1 - sparsity) * units, abs=1)
    assert cubic(750_000, 100_000, 100, 600, 600) == 100_000


@given(st.integers(1, 10**8), st.integers(1, 10**8), st.integers(0, 1_000), st.integers(1, 1_000))
def test_counts_fall_and_end_exactly(a: int, b: int, start: int, length: int) -> None:
    first, final = max(a, b), min(a, b)
    counts = [cubic(first, final, start, start + length, step) for step in range(start, start + length + 1)]
    assert counts[0] == first
    assert counts[-1] == final
    assert all(later <= earlier for earlier, later in pairwise(counts))


def test_the_largest_weights_of_the_moment_stay() -> None:
    model = two_layer_net()
    units = weight_units(model)
    update = made(units, 20, 10, end="5it", every="1it")
    flat = torch.cat([model.get_parameter(n).detach().flatten() for n in ("fc1.weight", "fc2.weight")]).abs()
    mask = update.update(5, Mask.full(units.layers), {}).flat()
    assert float(flat[mask].min()) > float(flat[~mask].max())


def test_a_pruned_unit_stays_pruned_however_large_its_weight() -> None:
    model = two_layer_net()
    units = weight_units(model)
    alive = some_mask(units, 40)
    with torch.no_grad():
        for name, keep in units.expand(alive).items():
            model.get_parameter(name).masked_fill_(~keep, 9.0)
    mask = made(units, 20, 10, end="5it").update(5, alive, {})
    assert mask.count == 20
    assert mask.issubset(alive)


def test_a_run_about_to_diverge_is_left_to_the_engine() -> None:
    model = two_layer_net()
    units = weight_units(model)
    with torch.no_grad():
        model.get_parameter("fc1.weight").fill_(torch.nan)
    assert made(units, 20, 10).update(5, Mask.full(units.layers), {}).count == 20


def test_an_end_before_the_start_is_refused() -> None:
    with pytest.raises(ValidationError, match=r'`end` \("5it"\) comes before `start` \("9it"\)'):
        GradualMagnitudeConfig.model_validate({"start": "9it", "end": "5it"})
