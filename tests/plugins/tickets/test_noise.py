import math
from pathlib import Path
from typing import Any

import pytest
import torch
from engine.toy_runs import Workshop, rows, run
from pydantic import ValidationError
from torch import nn

from prunebench import Position
from prunebench.api.masks import Mask
from prunebench.api.random import Rng
from prunebench.api.tickets import Inputs, Optimum, State, Ticket
from prunebench.kernels.weight_units import WeightUnits
from prunebench.testing import TicketContract, some_mask, state, toy_request, two_layer_net, weight_units
from prunebench_plugins.tickets.noise import Noise, NoiseConfig

NET = two_layer_net()
UNITS = weight_units(NET)
LATE = Position.parse("3it")


def initial(weights: State) -> Inputs:
    return {"initial": (Optimum(weights, None, 0),)}


class TestNoise(TicketContract):
    component = {"use": "noise", "sigmas": 2.0}

    def inputs(self) -> Inputs:
        return initial(state(NET))


def noisy(sigmas: float, ticket: Ticket, at_first: State, units: WeightUnits = UNITS, name: str = "0") -> Ticket:
    return Noise(NoiseConfig(sigmas=sigmas)).prunebench_ticket(ticket, units, initial(at_first), Rng(name))


@pytest.mark.parametrize("sigmas", [0.5, 3.0])
def test_the_noise_has_the_stated_multiple_of_the_initial_deviation_of_its_layer(sigmas: float) -> None:
    net = nn.Sequential(nn.Linear(200, 200, bias=False), nn.Linear(200, 100, bias=False))
    units = weight_units(net)
    generator = torch.Generator().manual_seed(0)
    at_first = {n: s * torch.randn(net.get_parameter(n).shape, generator=generator) for n, s in
                (("0.weight", 0.25), ("1.weight", 4.0))}  # fmt: skip
    # A ticket whose own weights are all 1, as if it started late: the deviation is that of the initial weights.
    ticket = Ticket({name: torch.ones_like(w) for name, w in at_first.items()}, some_mask(units, 30_000), LATE)
    edited = noisy(sigmas, ticket, at_first, units)
    assert ticket.mask is not None
    for name, keep in units.expand(ticket.mask).items():
        noise = (edited.weights[name] - 1)[keep].double()
        spread = sigmas * math.sqrt(float(((at_first[name] - at_first[name].mean()) ** 2).double().mean()))
        assert float(noise.std()) == pytest.approx(spread, rel=0.04)
        assert abs(float(noise.mean())) < 5 * spread / math.sqrt(noise.numel())
        # Normal: 68.3 % within one deviation, 95.4 % within two.
        assert float((noise.abs() < spread).double().mean()) == pytest.approx(0.683, abs=0.02)
        assert float((noise.abs() < 2 * spread).double().mean()) == pytest.approx(0.954, abs=0.01)


def test_only_surviving_weights_are_changed_and_mask_and_clock_stay() -> None:
    mask, before = some_mask(UNITS, 30), state(NET)
    edited = noisy(1.0, Ticket(before, mask, LATE), before)
    assert edited.mask is mask
    assert edited.start == LATE
    assert torch.equal(edited.weights["fc1.bias"], before["fc1.bias"])
    for name, keep in UNITS.expand(mask).items():
        assert torch.equal(edited.weights[name][~keep], before[name][~keep])
        assert bool((edited.weights[name][keep] != before[name][keep]).all())


def test_no_sigma_is_no_noise() -> None:
    before = state(NET)
    edited = noisy(0.0, Ticket(before, some_mask(UNITS, 30), LATE), before)
    assert all(torch.equal(edited.weights[name], before[name]) for name in before)


def test_multiples_of_sigma_are_multiples_of_the_same_noise() -> None:
    before = {name: value.double() for name, value in state(NET).items()}
    ticket = Ticket(before, Mask.full(UNITS.layers), LATE)
    one, three = (noisy(sigmas, ticket, before).weights["fc1.weight"] - before["fc1.weight"] for sigmas in (1.0, 3.0))
    assert torch.allclose(three, 3 * one)
    other = noisy(1.0, ticket, before, name="1").weights["fc1.weight"] - before["fc1.weight"]
    assert not torch.allclose(other, one)


def test_a_layer_of_one_weight_has_no_spread_and_gets_no_noise() -> None:
    units = weight_units(nn.Linear(1, 1))
    weights = {"weight": torch.tensor([[0.5]]), "bias": torch.zeros(1)}
    edited = noisy(3.0, Ticket(weights, None, LATE), weights, units)
    assert edited.weights["weight"].tolist() == [[0.5]]


def test_it_asks_for_the_initial_weights_of_the_trial() -> None:
    request = toy_request()
    assert Noise(NoiseConfig(sigmas=1.0)).prunebench_needs(request).inputs == {"initial": (request.chain.dense,)}


@pytest.mark.parametrize("sigmas", [-1.0, float("inf"), float("nan"), None])
def test_sigmas_must_be_a_finite_number_from_zero(sigmas: Any) -> None:
    with pytest.raises(ValidationError):
        NoiseConfig(sigmas=sigmas)


def test_the_engine_judges_noisy_tickets_even_of_a_late_rewind(tmp_path: Path) -> None:
    late = {"name": "imp", "schedule": {"use": "rewind", "to": "8it"}}
    edit = {"use": "noise", "sigmas": 0.5}
    control = {"name": "control", "tickets": "imp", "ticket": edit}
    outcome = run(tmp_path, {"entry": [late, control]})
    assert {row["outcome"] for row in rows(outcome)} == {"ok"}
    workshop = Workshop(tmp_path, {"entry": [late, control]})
    source = workshop.chain.tickets[1]
    edited = workshop.chain.edited(source, [workshop.workbench.catalogue.use(edit, slot="ticket")], 0)
    assert source.mask is not None
    at_first = workshop.weights(workshop.chain.dense.weights)
    # The same edit, applied by hand to what the store holds.
    start = Ticket(workshop.weights(source.weights), workshop.mask(source.mask), source.start)
    rng = Rng("0/ticket/1/0/0/noise")
    net = nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    by_hand = Noise(NoiseConfig(sigmas=0.5)).prunebench_ticket(start, weight_units(net), initial(at_first), rng)
    found = workshop.weights(edited.weights)
    assert {n: t.tolist() for n, t in found.items()} == {n: t.tolist() for n, t in by_hand.weights.items()}
    assert str(edited.start) == str(source.start) == "8it"
