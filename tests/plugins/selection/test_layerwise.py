from fractions import Fraction

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from prunebench import PlanError
from prunebench.api.info import Layer
from prunebench.api.masks import Mask, Scores
from prunebench.testing import SelectContract, weight_units
from prunebench_plugins.selection.layerwise import Layerwise, LayerwiseConfig, after_cuts, spread

LENET = (
    Layer("fc1.weight", 0, 235_200),
    Layer("fc2.weight", 235_200, 30_000),
    Layer("head.weight", 265_200, 1_000),
)


def layerwise(**rates: float) -> Layerwise:
    return Layerwise(LayerwiseConfig(rates={name.replace("_", "*"): rate for name, rate in rates.items()}))


class TestLayerwise(SelectContract):
    component = {"use": "layerwise"}


class TestLayerwiseWithASlowOutputLayer(SelectContract):
    component = {"use": "layerwise", "rates": {"fc2*": 0.5}}


class TestLayerwiseWithAFastOutputLayer(SelectContract):
    component = {"use": "layerwise", "rates": {"fc2.weight": 2.0}}


def select(selection: Layerwise, count: int, cut: float | None, round_: int, mask: Mask | None = None) -> Mask:
    model = nn.Sequential(nn.Linear(30, 10, bias=False), nn.Linear(10, 5, bias=False), nn.Linear(5, 4, bias=False))
    units = weight_units(model)
    assert [layer.count for layer in units.layers] == [300, 50, 20]
    generator = torch.Generator().manual_seed(0)
    scores = Scores(tuple(torch.rand(layer.count, generator=generator) for layer in units.layers))
    return selection.prunebench_select(scores, units, mask or Mask.full(units.layers), count, cut, round_)


def test_lenet_is_cut_by_20_percent_and_its_output_layer_by_10() -> None:
    selection = layerwise(head_=0.5)
    assert selection.prunebench_count(0.2, 1, LENET) == 188_160 + 24_000 + 900
    assert selection.prunebench_count(0.2, 2, LENET) == 150_528 + 19_200 + 810


def test_a_layer_keeps_its_own_share_however_its_scores_compare() -> None:
    selection = Layerwise(LayerwiseConfig(rates={"2.weight": 0.5}))
    layers = (Layer("0.weight", 0, 300), Layer("1.weight", 300, 50), Layer("2.weight", 350, 20))
    mask = None
    for round_, counts in ((1, (240, 40, 18)), (2, (192, 32, 16))):
        total = selection.prunebench_count(0.2, round_, layers)
        assert total == sum(counts)
        mask = select(selection, total, 0.2, round_, mask)
        assert mask.counts == counts


def test_a_stated_density_solves_one_scalar_cut() -> None:
    # 300 (1 - c) + 50 (1 - c) + 20 (1 - c / 2) = 190 at c = 0.5.
    assert select(Layerwise(LayerwiseConfig(rates={"2.weight": 0.5})), 190, None, 1).counts == (150, 25, 15)


@pytest.mark.parametrize(
    ("p", "remaining"),
    [(12.5, 87.5), (25, 75.0), (37.5, 62.6), (50, 50.1), (62.5, 37.6), (75, 25.1), (87.5, 12.7)],
)
def test_one_cut_of_lenet_by_p_stands_where_the_papers_one_shot_axis_has_it(p: float, remaining: float) -> None:
    """Frankle & Carbin 2019, figure 4c: its ticks, in per cent of the weights."""
    sizes = [layer.count for layer in LENET]
    hidden, output = 1 - p / 100, 1 - p / 200
    count = round(265_200 * hidden + 1_000 * output)
    assert round(100 * count / sum(sizes), 1) == remaining
    kept = spread(sizes, sizes, [Fraction(1), Fraction(1), Fraction(1, 2)], count)
    assert kept == pytest.approx([235_200 * hidden, 30_000 * hidden, 1_000 * output], abs=1)


def test_one_cut_to_3_percent_keeps_half_of_the_output_layer_and_16_rounds_a_fifth() -> None:
    sizes, rates = [layer.count for layer in LENET], [Fraction(1), Fraction(1), Fraction(1, 2)]
    assert spread(sizes, sizes, rates, round(265_200 * 0.03 + 1_000 * 0.515)) == [7_056, 900, 515]
    assert after_cuts(LENET, rates, 0.2, 16)[2] == 185


def test_a_layer_that_lacks_units_hands_the_rest_to_the_others() -> None:
    alive = Mask((torch.ones(300, dtype=torch.bool), torch.arange(50) < 10, torch.ones(20, dtype=torch.bool)))
    chosen = select(layerwise(), 170, 0.2, 1, alive)
    assert chosen.counts == (150, 10, 10)
    assert chosen.issubset(alive)


def test_equal_remainders_fall_to_the_earlier_layers() -> None:
    one = [Fraction(1)] * 4
    assert spread([10, 10, 10, 10], [10, 10, 10, 10], one, 22) == [6, 6, 5, 5]


layers = st.lists(
    st.tuples(st.integers(1, 300), st.floats(0, 1), st.sampled_from(["1", "0.5", "0.1", "2", "1.7"])),
    min_size=1,
    max_size=8,
)


@given(layers, st.floats(0, 1))
def test_any_count_is_shared_exactly_and_within_what_is_alive(
    drawn: list[tuple[int, float, str]], share: float
) -> None:
    sizes = [size for size, _, _ in drawn]
    alive = [round(size * part) for size, part, _ in drawn]
    rates = [Fraction(rate) for _, _, rate in drawn]
    count = round(share * sum(alive))
    kept = spread(sizes, alive, rates, count)
    assert sum(kept) == count
    assert all(0 <= k <= a for k, a in zip(kept, alive, strict=True))


@given(layers, st.floats(0, 1))
def test_layers_of_one_rate_have_one_density_to_within_a_unit(
    drawn: list[tuple[int, float, str]], share: float
) -> None:
    sizes = [size for size, _, _ in drawn]
    count = round(share * sum(sizes))
    kept = spread(sizes, sizes, [Fraction(1)] * len(sizes), count)
    assert all(abs(k - size * count / sum(sizes)) < 1 for k, size in zip(kept, sizes, strict=True))


def test_a_pattern_that_matches_no_layer_names_the_nearest() -> None:
    with pytest.raises(PlanError, match=r'"haed.weight" matches no layer.*"head.weight"'):
        Layerwise(LayerwiseConfig(rates={"haed.weight": 0.5})).prunebench_count(0.2, 1, LENET)


def test_two_patterns_that_disagree_about_a_layer_are_an_error() -> None:
    with pytest.raises(PlanError, match="several rates"):
        Layerwise(LayerwiseConfig(rates={"fc*": 0.5, "fc1*": 0.25})).prunebench_count(0.2, 1, LENET)
    agreeing = Layerwise(LayerwiseConfig(rates={"fc*": 0.5, "fc1*": 0.5}))
    assert agreeing.prunebench_count(0.2, 1, LENET) == 211_680 + 27_000 + 800


def test_a_layer_cannot_be_cut_by_all_of_it() -> None:
    with pytest.raises(PlanError, match=r'"head.weight" would be 1;'):
        layerwise(head_=5.0).prunebench_count(0.2, 1, LENET)


def test_a_chain_that_would_leave_nothing_is_an_error() -> None:
    with pytest.raises(PlanError, match="no unit lives"):
        layerwise().prunebench_count(0.9, 20, LENET)
