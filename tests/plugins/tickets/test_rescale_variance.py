import pytest
import torch
from channel_toys import HandUnits, channel_net

from prunebench import Position
from prunebench.api.masks import Mask
from prunebench.api.tickets import Ticket
from prunebench.components.catalogue import Catalogue
from prunebench.testing import TicketContract, some_mask, two_layer_net, weight_units


class TestRescaleVariance(TicketContract):
    component = {"use": "rescale-variance"}


def edited(mask: Mask | None) -> tuple[Ticket, Ticket]:
    net = two_layer_net()
    before = Ticket(dict(net.state_dict()), mask, Position.parse("0it"))
    plugin = Catalogue.load().use("rescale-variance").build()
    return before, plugin.prunebench_ticket(before, weight_units(net))  # type: ignore[attr-defined]


def test_each_layer_is_scaled_by_its_own_density() -> None:
    keep = torch.ones(66, dtype=torch.bool)
    keep[:36] = False  # a quarter of the first layer is left
    before, after = edited(Mask.from_flat(keep, weight_units(two_layer_net()).layers))
    names = [name for name, value in before.weights.items() if value.dim() == 2]
    assert torch.equal(after.weights[names[0]], 2 * before.weights[names[0]])
    assert torch.equal(after.weights[names[1]], before.weights[names[1]])
    assert all(torch.equal(after.weights[n], before.weights[n]) for n, v in before.weights.items() if v.dim() == 1)


def test_the_sum_over_inputs_has_the_variance_that_it_had() -> None:
    torch.manual_seed(0)
    wide = torch.randn(200, 400) * (2 / 400) ** 0.5
    keep = torch.rand(200, 400) < 0.2
    share = float(keep.float().mean())
    rescaled = (wide * keep / share**0.5).double()
    assert float(rescaled[keep].var()) == pytest.approx(2 / (400 * share), rel=0.05)


def test_outputs_that_go_do_not_make_those_that_stay_larger() -> None:
    net = channel_net()
    units = HandUnits(net)
    keep = torch.ones(9, dtype=torch.bool)
    keep[[0, 5, 6]] = False  # one of five channels of conv1, two of four of conv2
    before = Ticket(dict(net.state_dict()), Mask.from_flat(keep, units.layers), Position.parse("0it"))
    after = Catalogue.load().use("rescale-variance").build().prunebench_ticket(before, units)  # type: ignore[attr-defined]
    for name, larger in {"conv1.weight": 1.0, "conv2.weight": (5 / 4) ** 0.5, "fc.weight": 2**0.5}.items():
        torch.testing.assert_close(after.weights[name], larger * before.weights[name])


def test_a_dense_ticket_is_left_alone() -> None:
    before, after = edited(None)
    assert after is before


def test_a_layer_without_survivors_is_left_alone() -> None:
    units = weight_units(two_layer_net())
    keep = torch.ones(units.count, dtype=torch.bool)
    keep[48:] = False
    before, after = edited(Mask.from_flat(keep, units.layers))
    assert all(bool(torch.isfinite(v).all()) for v in after.weights.values())
    assert some_mask(units, 5).count == 5
    assert before.mask is after.mask
