from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunebench.api.info import Layer
from prunebench.api.masks import Mask, Scores
from prunebench.engine.masking import MaskedParameters, overlap
from prunebench.testing import some_mask, two_layer_net, weight_units

LAYERS = (Layer("a", 0, 5), Layer("b", 5, 1), Layer("c", 6, 7))
masks = st.lists(st.booleans(), min_size=13, max_size=13).map(lambda keep: Mask.from_flat(torch.tensor(keep), LAYERS))


@given(st.lists(st.booleans(), min_size=13, max_size=13))
def test_a_flat_mask_comes_back_from_its_layers(keep: list[bool]) -> None:
    mask = Mask.from_flat(torch.tensor(keep), LAYERS)
    assert mask.flat().tolist() == keep
    assert [layer.numel() for layer in mask.keep] == [5, 1, 7]
    assert mask.counts == (sum(keep[:5]), sum(keep[5:6]), sum(keep[6:]))
    assert (mask.count, mask.size) == (sum(keep), 13)


def test_a_full_mask_keeps_every_unit() -> None:
    mask = Mask.full(LAYERS)
    assert (mask.count, mask.counts, mask.size) == (13, (5, 1, 7), 13)
    assert all(keep.dtype == torch.bool for keep in mask.keep)


def test_a_mask_without_layers_is_empty() -> None:
    assert (Mask(()).count, Mask(()).size, Mask(()).flat().tolist()) == (0, 0, [])


@given(masks, masks)
def test_a_subset_keeps_nothing_more(one: Mask, other: Mask) -> None:
    both = overlap(one, other)
    assert both.issubset(one)
    assert both.issubset(other)
    assert one.issubset(Mask.full(LAYERS))
    assert one.issubset(other) == (set(kept(one)) <= set(kept(other)))
    assert set(kept(both)) == set(kept(one)) & set(kept(other))


def kept(mask: Mask) -> list[int]:
    return [int(index) for index in mask.flat().nonzero()]


def test_masks_of_other_layers_are_no_subsets() -> None:
    mask = Mask.full(LAYERS)
    assert not mask.issubset(Mask(mask.keep[:2]))
    assert not mask.issubset(Mask((mask.keep[2], mask.keep[1], mask.keep[0])))


def test_scores_are_counted_and_flattened_in_order() -> None:
    scores = Scores((torch.tensor([3.0, 1.0]), torch.tensor([2.0])))
    assert scores.count == 3
    assert scores.flat().tolist() == [3.0, 1.0, 2.0]


# Keeping weights at zero.


@pytest.mark.parametrize("bad", [float("inf"), float("-inf"), float("nan"), -1.0])
def test_zeroed_weights_are_positive_zeros_whatever_they_were(bad: float) -> None:
    net = two_layer_net()
    units = weight_units(net)
    mask = some_mask(units, 30)
    keep = units.expand(mask)
    with torch.no_grad():
        for name, stays in keep.items():
            net.get_parameter(name)[~stays] = bad
    before = {name: net.get_parameter(name).detach().clone() for name in keep}
    MaskedParameters(net, units, mask).zero_weights()
    for name, stays in keep.items():
        parameter = net.get_parameter(name).detach()
        assert parameter[~stays].numpy().tobytes() == bytes(4 * int((~stays).sum()))
        assert torch.equal(parameter[stays], before[name][stays])


def test_masked_gradients_keep_what_lives_and_the_rest_is_zero() -> None:
    net = two_layer_net()
    units = weight_units(net)
    masked = MaskedParameters(net, units, some_mask(units, 30))
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    seen = {name: gradient.clone() for name, gradient in masked.gradients().items()}
    masked.mask_gradients()
    assert set(seen) == {"fc1.weight", "fc2.weight"}
    for name, stays in units.expand(masked.mask).items():
        gradient = net.get_parameter(name).grad
        assert gradient is not None
        assert torch.equal(gradient, stays.float())
    for name in ("fc1.bias", "fc2.bias"):
        gradient = net.get_parameter(name).grad
        assert gradient is not None
        assert bool((gradient == 1).all())


def test_masks_take_the_dtype_and_the_strides_of_their_weights() -> None:
    net = torch.nn.Conv2d(3, 4, 3, dtype=torch.bfloat16).to(memory_format=torch.channels_last)
    units = weight_units(net)
    masked = MaskedParameters(net, units, some_mask(units, 50))
    (mask,) = masked._masks
    assert mask.dtype == torch.bfloat16
    assert mask.stride() == net.weight.stride()
    net.weight.grad = torch.ones_like(net.weight)
    masked.mask_gradients()
    assert int(net.weight.grad.sum()) == 50


def test_only_state_of_the_weights_shape_is_zeroed() -> None:
    net = two_layer_net()
    units = weight_units(net)
    optimizer = torch.optim.Adam(net.parameters())
    for parameter in net.parameters():
        parameter.grad = torch.ones_like(parameter)
    optimizer.step()
    masked = MaskedParameters(net, units, some_mask(units, 30))
    masked.zero_optimizer(optimizer)
    for name, stays in units.expand(masked.mask).items():
        state = optimizer.state[net.get_parameter(name)]
        assert float(state["step"]) == 1.0
        for moment in ("exp_avg", "exp_avg_sq"):
            assert not bool(state[moment][~stays].any())
            assert bool(state[moment][stays].all())
