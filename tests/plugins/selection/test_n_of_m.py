from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest
import torch
from engine.toy_runs import rows, run
from torch import Tensor, nn

from prunebench import PlanError
from prunebench.api.errors import ConfigError, ContractError
from prunebench.api.info import Layer
from prunebench.api.masks import Mask, Scores, Units
from prunebench.benchmark.load import resolve
from prunebench.benchmark.merging import normalise
from prunebench.kernels.weight_units import WeightUnits
from prunebench.plan.compile import make_plan
from prunebench.testing import SelectContract, ToyProbe, toy_catalogue, two_layer_net, weight_units
from prunebench.testing.toy import TOY
from prunebench_plugins.selection.n_of_m import NOfM, NOfMConfig


class TestNOfM(SelectContract):
    """On 8 and 6 inputs, 1 of 2 leaves a half."""

    component = {"use": "n-of-m", "pattern": "1:2"}
    cut = 0.5

    def alive(self, units: Units, count: int) -> Mask:
        return Mask.full(units.layers)

    def counts(self, mask: Mask) -> Iterator[int]:
        yield mask.count // 2

    def rivals(self, layer: Layer) -> Tensor:
        m = int(self.component["pattern"].partition(":")[2])
        return torch.arange(layer.count) // m if layer.shape[1] % m == 0 else torch.zeros(layer.count)

    def chain_rounds(self) -> tuple[int, ...]:
        return (1,)


class TestNOfMWithDenseLayers(TestNOfM):
    """On 8 and 6 inputs, 2 of 4 leaves 24 of 48 and all of 18."""

    component = {"use": "n-of-m", "pattern": "2:4", "rest": "dense"}
    cut = 1 - 42 / 66

    def counts(self, mask: Mask) -> Iterator[int]:
        yield 24 + 18


@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (4, 8), (1, 2)])
def test_of_every_m_channels_at_each_place_of_the_kernel_the_n_highest_stay(n: int, m: int) -> None:
    model = nn.Sequential(nn.Conv2d(8, 3, (2, 3)), nn.Linear(16, 5))
    units = WeightUnits(model, {"0.weight": "conv", "1.weight": "linear"})
    scores = Scores(tuple(torch.rand(layer.count) for layer in units.layers))
    select = NOfM(NOfMConfig(pattern=f"{n}:{m}"))
    count = select.prunebench_count(units.layers, round(units.count * n / m))
    chosen = select.prunebench_select(scores, units, Mask.full(units.layers), count)
    for layer, keep, values in zip(units.layers, chosen.keep, scores.values, strict=True):
        kept, value = keep.reshape(layer.shape), values.reshape(layer.shape)
        for out, start, *place in product(
            range(layer.shape[0]), range(0, layer.shape[1], m), *map(range, layer.shape[2:])
        ):
            at = (out, slice(start, start + m), *place)
            highest = sorted(value[at].tolist())[-n:]
            assert sorted(value[at][kept[at]].tolist()) == highest


def test_a_density_that_the_pattern_does_not_have_is_refused_with_the_one_that_it_has() -> None:
    layers = weight_units(two_layer_net()).layers
    with pytest.raises(
        PlanError, match=r"1:2 leaves 0.500 of the units, and 0.303 were asked for; write densities = \[0.5"
    ):
        NOfM(NOfMConfig(pattern="1:2")).prunebench_count(layers, 20)


def test_channels_are_refused_before_a_pattern_is_looked_for() -> None:
    with pytest.raises(PlanError, match='n-of-m: it works on single weights, and not on channels; write units = "wei'):
        NOfM(NOfMConfig()).prunebench_count((Layer("layer1.0.conv1.weight", 0, 16, "conv"),), 8)


@pytest.mark.parametrize("text", ["2", "4:2", "0:4", "2:4:8", "a:b", "2:2"])
def test_a_text_that_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no pattern such as"):
        NOfMConfig(pattern=text)


def test_it_is_not_cut_again() -> None:
    units = weight_units(two_layer_net())
    scores = Scores(tuple(torch.rand(layer.count) for layer in units.layers))
    select = NOfM(NOfMConfig(pattern="1:2"))
    once = select.prunebench_select(scores, units, Mask.full(units.layers), 33)
    with pytest.raises(ContractError, match="1:2 leaves 33 units of a mask of 33, and 20 were asked for; cut once"):
        select.prunebench_select(scores, units, once, 20)


def test_it_prunes_a_network_and_the_rows_say_what_lives(tmp_path: Path) -> None:
    entry = {"name": "imp", "schedule": "one-shot", "select": {"use": "n-of-m", "rest": "dense"}}
    outcome = run(tmp_path, {"entry": [entry]}, cut=24 / 66, rounds=1)
    assert {row["outcome"] for row in rows(outcome, entry="imp")} == {"ok"}
    assert {row["density"] for row in rows(outcome, entry="imp")} == {42 / 66}


def planned_count(select: object, density: float) -> int:
    """Units of the one ticket of an entry that is given by a density alone."""
    table = {key: value for key, value in TOY.items() if key not in ("cut", "rounds")}
    entry = {"name": "imp", "schedule": "one-shot", "score": "magnitude", "units": "toy-units", "select": select}
    benchmark = resolve(normalise({**table, "entry": [entry], "densities": [density]}), toy_catalogue(), Path("t.toml"))
    (trial,) = make_plan(benchmark, ToyProbe()).trials
    (evaluation,) = trial.evaluations
    return evaluation.run.ticket.count


def test_a_stated_density_is_the_patterns() -> None:
    assert planned_count({"use": "n-of-m", "pattern": "1:2"}, 0.5) == 33
    assert planned_count({"use": "n-of-m", "rest": "dense"}, 0.5) == 42
    assert planned_count({"use": "n-of-m", "rest": "dense"}, 0.64) == 42
    assert planned_count("global", 0.5) == 33
    with pytest.raises(ConfigError, match=r"2:4 leaves 0.636 of the units, and 0.303 were asked for"):
        planned_count({"use": "n-of-m", "rest": "dense"}, 0.3)
    with pytest.raises(
        ConfigError, match=r'n-of-m: layer "fc2.weight" has 6 inputs, which 4 does not divide; keep such'
    ):
        planned_count("n-of-m", 0.5)
