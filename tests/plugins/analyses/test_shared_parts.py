from collections.abc import Mapping

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from prunebench import PlanError
from prunebench.api.masks import Mask
from prunebench.kernels.weight_units import WeightUnits
from prunebench.testing import two_layer_net
from prunebench_plugins.analyses import _figures, _weights


class Neurons(WeightUnits):
    """Units that are the neurons of fc1, given by its bias, with all that leads to them."""

    def __init__(self, model: nn.Module, weights: bool) -> None:
        super().__init__(model, {"fc1.bias": "linear"})
        self.weights = weights

    def expand(self, mask: Mask) -> Mapping[str, Tensor]:
        kept = super().expand(mask)
        return {**kept, "fc1.weight": kept["fc1.bias"][:, None].expand(6, 8)} if self.weights else kept


def test_of_units_that_are_neurons_the_weights_are_read_and_not_the_biases() -> None:
    units = Neurons(two_layer_net(), weights=True)
    kept = _weights.kept_weights(units, Mask((torch.arange(6) < 2,)))
    assert list(kept) == ["fc1.weight"]
    assert kept["fc1.weight"].sum(1).tolist() == [8, 8, 0, 0, 0, 0]
    assert bool(_weights.kept_weights(units, None)["fc1.weight"].all())


def test_units_that_touch_no_weights_are_told() -> None:
    with pytest.raises(PlanError, match=r"only fc1\.bias"):
        _weights.kept_weights(Neurons(two_layer_net(), weights=False), None)


@given(st.integers(1, 200), st.integers(2, 12))
def test_evenly_spread_choices_are_distinct_and_reach_from_end_to_end(count: int, most: int) -> None:
    chosen = _figures.evenly(count, most)
    assert len(chosen) == min(count, most)
    assert chosen == sorted(set(chosen))
    assert (chosen[0], chosen[-1]) == (0, count - 1)


@given(st.lists(st.lists(st.floats(-1e6, 1e6), max_size=30), max_size=4), st.integers(1, 60))
def test_bins_reach_over_every_group(groups: list[list[float]], bins: int) -> None:
    arrays = [np.array(group) for group in groups]
    edges = _figures.edges_of(arrays, bins)
    assert len(edges) == bins + 1
    assert (np.diff(edges) > 0).all()
    for values in arrays:
        if values.size:
            assert edges[0] <= np.median(values) <= edges[-1]


def test_an_outline_has_the_area_of_what_is_between_its_edges() -> None:
    axes = _figures.canvas(3, 3).add_subplot()
    _figures.outline(axes, np.array([0.1, 0.2, 0.7, 5.0]), np.linspace(0, 1, 5))
    (patch,) = axes.patches
    heights, edges, _ = patch.get_data()  # type: ignore[attr-defined]
    assert float((heights * np.diff(edges)).sum()) == pytest.approx(0.75)


@pytest.mark.parametrize("layer", ["fc1.weight", "stages.2.blocks.17.attention.projection.weight"])
def test_a_long_name_keeps_its_end(layer: str) -> None:
    axes = _figures.canvas(3, 3).add_subplot()
    _figures.panel(axes, layer)
    title = axes.get_title()
    assert len(title) <= 38
    assert layer.endswith(title.removeprefix("…"))


@pytest.mark.parametrize("name", ["a", "a.rather.long.name.of.a.layer.in.a.deep.network.weight"])
def test_a_bar_names_the_first_and_the_last_of_many_layers(name: str) -> None:
    picture = _figures.canvas(6, 4)
    axes = picture.add_subplot()
    _figures.name_layers(picture, axes, [name, *"bcdefghijklm", "last"])
    (bar,) = (other for other in picture.axes if other is not axes)
    assert bar.get_ylabel().split() == ["layer,", "from", name, "to", "last"]


def test_the_same_picture_has_the_same_text_and_another_salt_other_identifiers() -> None:
    def drawn(salt: str) -> str:
        picture = _figures.canvas(3, 3)
        picture.add_subplot().plot([0, 1], [1, 2], marker=".", label="a line")
        _figures.legend_below(picture, picture.axes[0])
        return _figures.to_svg(picture, salt)

    assert drawn("a") == drawn("a")
    assert drawn("a") != drawn("b")
