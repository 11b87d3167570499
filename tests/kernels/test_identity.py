"""One name for each tensor of a network, whatever names it has."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from prunebench import CannotTakePart
from prunebench.kernels.identity import aliases, canonical_names, dealias, one_name_each, realias, retied
from prunebench.kernels.networks import built


class TiedWeight(nn.Module):
    """Two layers with one weight, each with a bias of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.one, self.two = nn.Linear(4, 4), nn.Linear(4, 4)
        self.two.weight = self.one.weight

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.two(self.one(x))
        return out


class AliasedModule(nn.Module):
    """A block, batch norm and its buffers included, under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4)))
        self.last = self.body[1]

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.body(x)
        return out


class Crossed(nn.Module):
    """The further name comes before some first ones, and one of three names is deep in another module."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.deep = nn.Sequential(nn.Sequential(nn.Linear(4, 4, bias=False)), nn.Linear(4, 4))
        self.deep[0][0].weight = self.first.weight
        self.third = nn.Linear(4, 4)
        self.third.weight = self.first.weight
        self.third.bias = self.deep[1].bias

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.third(self.deep(self.first(x)))
        return out


TIED = [TiedWeight, AliasedModule, Crossed]


def of(kind: type[nn.Module]) -> nn.Module:
    return built(kind, seed=1).eval()


@pytest.mark.parametrize("kind", TIED)
def test_the_first_name_is_the_one_that_torch_lists(kind: type[nn.Module]) -> None:
    model = kind()
    names = canonical_names(model)
    listed = [*dict(model.named_parameters()), *dict(model.named_buffers())]
    assert sorted(set(names.values())) == sorted(listed)
    assert all(names[name] == name for name in listed)
    assert set(names) == set(model.state_dict())
    assert set(aliases(model)) == set(names) - set(listed) != set()


def test_a_network_without_shared_tensors_has_no_aliases() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    keys = list(model.state_dict())
    assert aliases(model) == {}
    assert list(one_name_each(model).state_dict()) == keys
    assert not model._state_dict_hooks


@pytest.mark.parametrize("kind", TIED)
@pytest.mark.parametrize("copying", [False, True])
def test_states_hold_each_tensor_once_and_edits_arrive(kind: type[nn.Module], copying: bool) -> None:
    model = of(kind)
    model = copy.deepcopy(model) if copying else model
    assert sorted(model.state_dict()) == sorted(set(canonical_names(model).values()))
    assert sum(p.numel() for p in model.parameters()) == sum(
        value.numel() for name, value in model.state_dict().items() if name in dict(model.named_parameters())
    )
    edited = {name: value + 1 for name, value in model.state_dict().items()}
    other = of(kind)
    other.load_state_dict(edited)
    assert all(torch.equal(value, edited[name]) for name, value in other.state_dict().items())
    assert aliases(other) == aliases(model)


@pytest.mark.parametrize("kind", TIED)
def test_a_state_with_every_name_is_taken_and_the_first_name_counts(kind: type[nn.Module]) -> None:
    model, plain = of(kind), kind()
    state = {name: value.clone() for name, value in plain.state_dict().items()}
    model.load_state_dict(state)
    x = torch.linspace(-1, 1, 8).view(2, 4)
    assert torch.equal(model(x), plain.eval()(x))
    further = next(iter(aliases(plain)))
    state[further] = state[further] + 1
    model.load_state_dict(state)
    assert torch.equal(model(x), plain.eval()(x))


@pytest.mark.parametrize("kind", TIED)
def test_a_state_that_lacks_the_first_name_is_taken(kind: type[nn.Module]) -> None:
    model, plain = of(kind), kind()
    gone = set(aliases(plain).values())
    model.load_state_dict({name: value for name, value in plain.state_dict().items() if name not in gone})
    x = torch.linspace(-1, 1, 8).view(2, 4)
    assert torch.equal(model(x), plain.eval()(x))


def test_a_state_that_lacks_both_names_is_refused() -> None:
    model = of(TiedWeight)
    state = model.state_dict()
    del state["one.weight"]
    with pytest.raises(RuntimeError, match=r"Missing key.*one\.weight"):
        model.load_state_dict(state)


@pytest.mark.parametrize("kind", TIED)
def test_states_go_there_and_back(kind: type[nn.Module]) -> None:
    plain = kind()
    names, state = canonical_names(plain), plain.state_dict()
    once = dealias(state, names)
    assert set(once) == set(names.values())
    assert dealias(once, names) == once
    full = realias(once, names)
    assert set(full) == set(state)
    assert all(torch.equal(full[name], value) for name, value in state.items())


@pytest.mark.parametrize("kind", TIED)
def test_what_torch_has_untied_is_tied_again(kind: type[nn.Module]) -> None:
    with torch.device("meta"):
        model = kind()
    names = canonical_names(model)
    real = model.to_empty(device="cpu")
    assert canonical_names(retied(real, names)) == names


def test_parameters_that_share_memory_and_are_not_one_are_refused() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    model[1].weight = nn.Parameter(model[0].weight.data)
    with pytest.raises(CannotTakePart, match=r"0\.weight and 1\.weight are two parameters that share memory"):
        one_name_each(model)
    halves = torch.zeros(8, 4)
    model[0].weight, model[1].weight = nn.Parameter(halves[:4]), nn.Parameter(halves[4:])
    one_name_each(model)
