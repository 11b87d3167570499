"""The mask that comes nearest to a share of a cost: a law over networks, rankings and shares."""

from __future__ import annotations

import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.api.cost_share import Cost, CostShare
from prunebench.api.info import DataInfo, Layer
from prunebench.api.masks import Mask, Units
from prunebench.kernels.costs import Counter, counter_of, mask_at_share
from prunebench.kernels.macs import macs_of
from prunebench.kernels.selection import keep_highest, keep_highest_above_floors
from prunebench.testing import two_layer_net, weight_units
from prunebench.testing.data import some_mask
from prunebench_plugins.units.channels import Channels, ChannelsConfig

EXAMPLE = torch.zeros(1, 1, 2, 4)


def ranked(units: Units, alive: Mask, scores: torch.Tensor, count: int) -> Mask:
    return Mask(keep_highest(torch.split(scores, [layer.count for layer in units.layers]), alive.keep, count))


@settings(max_examples=60, deadline=None)
@given(
    of=st.sampled_from(["parameters", "macs"]),
    share=st.floats(0.16, 0.99),
    seed=st.integers(0, 10**6),
    living=st.integers(1, 66),
)
def test_no_other_number_of_units_comes_nearer(of: Cost, share: float, seed: int, living: int) -> None:
    net = two_layer_net()
    units = weight_units(net)
    scores = torch.rand(66, generator=torch.Generator().manual_seed(seed))
    alive = some_mask(units, living)
    counter, wanted = counter_of(of, net, EXAMPLE, units), CostShare(of, share)
    found = mask_at_share(wanted, alive, units.layers, lambda count: ranked(units, alive, scores, count), counter)
    every = [ranked(units, alive, scores, count) for count in range(1, living + 1)]
    excess = [abs(wanted.excess(counter.under(mask), counter.dense)) for mask in every]
    if found is None:
        assert all(counter.under(mask) > share * counter.dense for mask in every)
    else:
        assert found.issubset(alive)
        assert abs(wanted.excess(counter.under(found), counter.dense)) == min(excess)


def test_what_costs_no_more_than_the_share_stays_whole() -> None:
    net = two_layer_net()
    units = weight_units(net)
    alive = some_mask(units, 20)

    def never(count: int) -> Mask:
        raise AssertionError(f"{count} units were selected")

    counter = counter_of("macs", net, EXAMPLE, units)
    assert mask_at_share(CostShare("macs", 0.9), alive, units.layers, never, counter) is alive


class Stairs:
    """A cost that only every fourth unit changes, as where units go in blocks."""

    dense = 100

    def under(self, mask: Mask) -> int:
        return mask.count


def test_numbers_that_a_pattern_does_not_have_are_passed_over() -> None:
    counter: Counter = Stairs()
    alive = Mask((torch.ones(100, dtype=torch.bool),))

    def in_blocks(count: int) -> Mask | None:
        return Mask((torch.arange(100) < count // 16 * 16,)) if count >= 16 else None

    layers = [Layer("fc", 0, 100)]
    found = mask_at_share(CostShare("macs", 0.5), alive, layers, in_blocks, counter)
    assert found is not None
    assert found.count == 48
    assert mask_at_share(CostShare("macs", 0.1), alive, layers, in_blocks, counter) is None


def test_channels_of_a_residual_network_come_within_one_channel_of_the_share() -> None:
    import prunebench_plugins.models.architectures  # noqa: F401 (importing it registers the networks)

    net = timm.create_model("cifar_resnet8", num_classes=10).eval()
    example = torch.zeros(1, 3, 32, 32)
    units = Channels(ChannelsConfig()).prunebench_units(net, DataInfo("x", "", {}, (3, 32, 32), 10), example)
    alive, floors = Mask.full(units.layers), [layer.floor for layer in units.layers]
    scores = units.reduce(lambda name, weight: weight.abs()).values

    def select(count: int) -> Mask:
        return Mask(keep_highest_above_floors(scores, alive.keep, count, floors))

    for share in (0.5, 0.2):
        mask = mask_at_share(
            CostShare("macs", share), alive, units.layers, select, counter_of("macs", net, example, units)
        )
        assert mask is not None
        macs = [macs_of(net, example, units, select(mask.count + more)) for more in (-1, 0, 1)]
        wanted = share * macs[0].dense
        assert macs[0].effective < wanted < macs[2].effective
        assert all(abs(macs[1].effective - wanted) <= abs(one.effective - wanted) for one in macs)
