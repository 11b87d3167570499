"""The moving average of a run's weights: by hand, under a mask, and when the mask changes."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from engine.toy_runs import Workshop, bits
from prunebench.api.data import Gather
from prunebench.api.errors import PrunebenchError
from prunebench.engine.averaging import Average
from prunebench.testing import same, state, toy_benchmark


def changes(**fields: Any) -> dict[str, Any]:
    return {"train": {"average": 0.8, **fields}}


def test_the_average_is_the_sum_by_hand_and_what_is_stored_and_measured(tmp_path: Path) -> None:
    workshop = Workshop(tmp_path, changes())
    judged = workshop.chain.evaluate(workshop.chain.tickets[1])
    training = workshop.training(judged)
    by_hand = {name: value.double() for name, value in state(training.model).items()}
    for step in range(1, 25):
        training.advance(step, lambda position, loss: None)
        for name, value in state(training.model).items():
            by_hand[name] = 0.8 * by_hand[name] + 0.2 * value.double()
    curve = workshop.curve(judged)
    workshop.make(judged.end, curve)
    stored = workshop.weights(judged.end)
    for name, value in by_hand.items():
        torch.testing.assert_close(stored[name].double(), value, rtol=1e-5, atol=1e-7)
    assert not same(stored, state(training.model))
    net = nn.Sequential(nn.Flatten(), nn.Linear(8, 6), nn.ReLU(), nn.Linear(6, 3))
    net.load_state_dict(stored)
    data = workshop.workbench.data(workshop.chain.context.data_spec, 0)
    (batch,) = data["test"].batches([Gather(torch.arange(24))])
    with torch.no_grad():
        wanted = float(nn.functional.cross_entropy(net(batch[0]), batch[1]))
    measured = workshop.points(curve)[-1]["test/loss"]
    assert measured == pytest.approx(wanted, rel=1e-5)


@pytest.mark.parametrize("updates", [[], ["regrow"], [{"use": "movement-pruning", "every": "3it"}]])
def test_pruned_weights_are_exactly_zero_in_the_average(tmp_path: Path, updates: list[Any]) -> None:
    workshop = Workshop(tmp_path, changes(mask_updates=updates))
    training = workshop.training(workshop.chain.evaluate(workshop.chain.tickets[2]))
    for step in range(1, 25):
        training.advance(step, lambda position, loss: None)
        assert training.mask is not None
        assert training.units is not None
        assert training.average is not None
        for name, keep in training.units.expand(training.mask).items():
            pruned = training.average.model.get_parameter(name)[~keep]
            assert bits(pruned) == bits(torch.zeros_like(pruned))


def test_statistics_are_averaged_and_counters_copied() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    average = Average(net, 0.5)
    before = state(net)
    net(torch.randn(8, 3, generator=torch.Generator().manual_seed(0)))
    average.follow()
    after = state(net)
    torch.testing.assert_close(
        average.model.get_buffer("1.running_mean"), (before["1.running_mean"] + after["1.running_mean"]) / 2
    )
    assert int(average.model.get_buffer("1.num_batches_tracked")) == 1


def test_the_state_of_an_optimizer_does_not_belong_to_averaged_weights() -> None:
    with pytest.raises(PrunebenchError, match='"with-weights" goes on from the weights that the optimizer left'):
        toy_benchmark(changes(optimizer_state="with-weights"))
