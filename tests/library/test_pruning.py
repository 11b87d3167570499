"""A network of one's own, pruned in memory."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

import prunebench
from prunebench.api.errors import ConfigError, PrunebenchError
from prunebench.kernels.macs import macs_of
from prunebench.library import prune


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 12, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(12, 4),
    )


def loader(count: int = 32) -> DataLoader[tuple[Tensor, ...]]:
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(count, 1, 6, 6, generator=generator)
    return DataLoader(TensorDataset(images, torch.arange(count) % 4), batch_size=8)


@settings(deadline=None, max_examples=12)
@given(
    st.floats(0.01, 1.0),
    st.sampled_from(["magnitude", "random", "snip", "synflow"]),
    st.sampled_from(["global", "uniform"]),
)
def test_exactly_the_stated_share_is_kept_and_the_rest_is_zero(density: float, score: str, select: str) -> None:
    model = net()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    pruning = prune(model, loader(), density=density, score=score, select=select)
    assert pruning.mask.count == round(density * pruning.units.count)
    state = pruning.model.state_dict()
    for name, keep in pruning.masks().items():
        assert not state[name][~keep].any()
        assert torch.equal(state[name][keep], before[name][keep])
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items()), (
        "the given network changed"
    )


def test_magnitude_keeps_the_largest_weights() -> None:
    model = nn.Sequential(nn.Linear(3, 2, bias=False), nn.ReLU(), nn.Linear(2, 2))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0, -6.0, 2.0], [5.0, -3.0, 4.0]]))
    pruning = prune(model, density=0.5)
    assert pruning.model[0].weight.tolist() == [[0.0, -6.0, 0.0], [5.0, 0.0, 4.0]]
    assert str(pruning).splitlines()[0] == "3 of 6 units kept: density 50 %"


def test_channels_are_taken_out_and_the_outputs_stay() -> None:
    pruning = prune(net(), loader(), density=0.5, units="channels", score="filter-l2")
    small = pruning.shrink().eval()
    assert sum(p.numel() for p in small.parameters()) < sum(p.numel() for p in net().parameters())
    images = torch.randn(5, 1, 6, 6)
    with torch.no_grad():
        assert torch.allclose(small(images), pruning.model.eval()(images), atol=1e-6)


def test_training_with_masked_gradients_keeps_pruned_weights_at_zero() -> None:
    pruning = prune(net(), loader(), density=0.2)
    optimizer = torch.optim.Adam(pruning.model.train().parameters(), lr=0.01, weight_decay=0.1)
    for images, labels in loader():
        optimizer.zero_grad()
        nn.functional.cross_entropy(pruning.model(images), labels).backward()
        pruning.mask_gradients()
        optimizer.step()
    state = pruning.model.state_dict()
    assert all(not state[name][~keep].any() for name, keep in pruning.masks().items())


def test_a_pruning_goes_on_from_an_earlier_one() -> None:
    first = prune(net(), density=0.5, example=torch.zeros(1, 1, 6, 6))
    second = prune(first.model, density=0.25, mask=first.mask, example=torch.zeros(1, 1, 6, 6))
    assert second.mask.issubset(first.mask)
    with pytest.raises(PrunebenchError, match=r"density 0\.9 keeps .* units; .* are alive"):
        prune(first.model, density=0.9, mask=first.mask, example=torch.zeros(1, 1, 6, 6))


def test_the_given_mode_and_device_stay() -> None:
    assert prune(net().train(), loader(), density=0.5).model.training
    assert not prune(net().eval(), loader(), density=0.5).model.training


@pytest.mark.parametrize("density", [0.0, -1.0, 1.1, float("nan"), float("inf")])
def test_a_density_that_is_no_share_is_refused(density: float) -> None:
    with pytest.raises(PrunebenchError, match="it is a share of the units"):
        prune(net(), loader(), density=density)


def test_a_score_that_looks_at_data_says_so_where_there_is_none() -> None:
    with pytest.raises(PrunebenchError, match=r"snip.* looks at data: give prune\(\) batches"):
        prune(net(), density=0.5, score="snip", example=torch.zeros(1, 1, 6, 6))


def test_a_network_whose_input_is_not_known_needs_an_example() -> None:
    with pytest.raises(PrunebenchError, match=r"needs data or an example"):
        prune(net(), density=0.5)


def test_a_component_of_another_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"component global .* has no prunebench_score"):
        prune(net(), loader(), density=0.5, score="global")


def test_batches_that_are_no_pairs_are_refused() -> None:
    with pytest.raises(PrunebenchError, match="pairs of tensors"):
        prune(net(), [torch.zeros(2, 1, 6, 6)], density=0.5)  # type: ignore[list-item]
    with pytest.raises(PrunebenchError, match="it has no batch"):
        prune(net(), [], density=0.5)


def test_the_public_name_is_this_function() -> None:
    assert prunebench.prune is prune


@pytest.mark.parametrize("units", ["weights", "channels"])
def test_a_density_may_be_of_a_cost(units: str) -> None:
    network = nn.Sequential(nn.Linear(8, 40), nn.ReLU(), nn.Linear(40, 4))
    pruning = prunebench.prune(network, density=0.5, density_of="macs", units=units, example=torch.zeros(1, 8))
    macs = macs_of(network, torch.zeros(1, 8), pruning.units, pruning.mask)
    assert abs(macs.effective - macs.dense / 2) <= (12 if units == "channels" else 1) / 2
    with pytest.raises(PrunebenchError, match="an update needs a number of units"):
        prunebench.prune(network, density=0.5, density_of="macs", update="sparsegpt", example=torch.zeros(1, 8))
