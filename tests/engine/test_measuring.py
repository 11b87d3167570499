from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from prunebench.api.data import Data
from prunebench.api.errors import ContractError
from prunebench.api.task import MetricInfo
from prunebench.engine.measuring import Measuring, measure, pack_correct, sampled
from prunebench.testing import ToyData, no_global_randomness, task_of, two_layer_net

METRICS = {
    "accuracy": MetricInfo(unit="fraction", higher=True, low=0, high=1),
    "loss": MetricInfo(unit="nats", higher=False, low=0),
}


@pytest.fixture
def toy() -> Data:
    data: Data = ToyData().prunebench_data()
    return data


@pytest.fixture
def classes() -> Measuring:
    return Measuring("classification", task_of({"use": "classification"}), METRICS)


@given(st.integers(1, 3_000), st.integers(1, 3_000))
def test_a_sample_is_even_fixed_and_never_repeats_an_example(size: int, sample: int) -> None:
    indices = [i for gather in sampled(size, sample) for i in gather.indices.tolist()]
    assert len(indices) == min(size, sample)
    assert indices == sorted(set(indices))
    assert set(indices) <= set(range(size))
    steps = [b - a for a, b in pairwise(indices)]
    assert not steps or max(steps) - min(steps) <= 1
    assert indices == [i for gather in sampled(size, sample) for i in gather.indices.tolist()]


@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_a_model_as_it_was(toy: Data, classes: Measuring, training: bool) -> None:
    net = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(8), nn.Dropout(0.5), nn.Linear(8, 3)).train(training)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    with no_global_randomness():
        first = measure(net, classes, toy, ["train", "test"], 50).values
        again = measure(net, classes, toy, ["train", "test"], 50).values
    assert first == again
    assert set(first) == {"train/loss", "train/accuracy", "test/loss", "test/accuracy"}
    assert net.training is training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_only_the_training_split_is_sampled(toy: Data, classes: Measuring) -> None:
    net = two_layer_net()
    few, whole = (measure(net, classes, toy, ["train", "valid"], sample) for sample in (10, None))
    assert few.values["valid/loss"] == whole.values["valid/loss"]
    assert few.values["train/loss"] != whole.values["train/loss"]
    assert {split: len(correct) for split, correct in few.correct.items()} == {"train": 10, "valid": 24}
    assert {split: len(correct) for split, correct in whole.correct.items()} == {"train": 96, "valid": 24}


def test_a_loss_that_is_not_finite_has_no_value(toy: Data, classes: Measuring) -> None:
    net = two_layer_net()
    with torch.no_grad():
        net.get_parameter("fc2.weight").fill_(float("nan"))
    found = measure(net, classes, toy, ["test"], None).values
    assert found["test/loss"] is None
    assert found["test/accuracy"] is not None


def test_metrics_that_a_task_did_not_name_are_refused(toy: Data, classes: Measuring) -> None:
    more: Mapping[str, MetricInfo] = {**METRICS, "f1": METRICS["accuracy"]}
    for named in (more, {"loss": METRICS["loss"]}):
        with pytest.raises(ContractError, match="task classification: it measured accuracy, loss; prunebench_metrics"):
            measure(two_layer_net(), replace(classes, metrics=named), toy, ["test"], None)


def test_which_examples_are_correct_is_packed_eight_a_byte_the_first_highest() -> None:
    assert pack_correct(torch.tensor([True, False, False, False, False, False, False, True, True])) == b"\x81\x80"
    drawn = torch.arange(100) % 3 == 0
    assert np.unpackbits(np.frombuffer(pack_correct(drawn), np.uint8), count=100).tolist() == drawn.tolist()
