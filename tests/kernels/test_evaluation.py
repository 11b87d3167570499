from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from prunebench.api.data import Data, Gather, ResidentTensors, in_order
from prunebench.api.task import Contribution, Task
from prunebench.kernels.evaluation import Varying, evaluate
from prunebench.testing import ToyData, task_of, two_layer_net

CLASSES = task_of({"use": "classification"})


@pytest.fixture
def toy() -> Data:
    data: Data = ToyData().prunebench_data()
    return data


@torch.no_grad()
def test_loss_and_accuracy_are_means_over_examples_whatever_the_batches(toy: Data) -> None:
    net = two_layer_net().eval()
    ((inputs, targets),) = toy["test"].batches([Gather(torch.arange(24))])
    outputs = net(inputs)
    for size in (1, 7, 24):
        values, correct = evaluate(net, CLASSES, toy["test"].batches(in_order(24, size)))
        assert values["loss"] == pytest.approx(float(nn.functional.cross_entropy(outputs, targets)), rel=1e-5)
        assert correct is not None
        assert torch.equal(correct, outputs.argmax(1) == targets)
        assert values["accuracy"] == int(correct.sum()) / 24


def test_sums_of_any_shape_are_added_in_double_precision() -> None:
    rows = torch.arange(12, dtype=torch.float32).view(6, 2) + 0.1
    task = Task(
        objective=lambda outputs, targets: outputs.mean(),
        contribution=lambda outputs, targets: Contribution(
            {"columns": outputs.sum(0), "all": outputs.sum(), "rows": len(outputs), "halves": 0.5}
        ),
        values=lambda totals: {
            "loss": totals["all"] / totals["rows"],
            "columns": (totals["columns"] * torch.tensor([1.0, 1_000.0])).sum(),
            "halves": totals["halves"],
        },
        example=lambda info: torch.zeros(1, 2),
    )
    split = ResidentTensors(rows, torch.zeros(6, 0))
    values, correct = evaluate(lambda inputs: inputs, task, split.batches(in_order(6, 4)))
    assert correct is None
    # Each batch is summed in its own type, and the sums of batches in float64.
    first, second = rows[:4].sum(0).double(), rows[4:].sum(0).double()
    assert values["columns"] == float((first + second) @ torch.tensor([1.0, 1_000.0], dtype=torch.float64))
    assert values["loss"] == pytest.approx(11.2, rel=1e-7)
    assert values["halves"] == 1.0


def test_a_sum_that_is_no_number_stays_one() -> None:
    task = Task(
        objective=lambda outputs, targets: outputs.mean(),
        contribution=lambda outputs, targets: Contribution({"loss": outputs.sum()}),
        values=lambda totals: {"loss": totals["loss"]},
        example=lambda info: torch.zeros(1, 1),
    )
    split = ResidentTensors(torch.tensor([[1.0], [float("nan")]]), torch.zeros(2, 0))
    assert math.isnan(evaluate(lambda inputs: inputs, task, split.batches(in_order(2, 1)))[0]["loss"])


def test_a_network_sees_what_the_task_makes_of_a_batch() -> None:
    seen: list[Tensor] = []

    def network(inputs: Tensor) -> Tensor:
        seen.append(inputs)
        return inputs

    task = Task(
        objective=lambda outputs, targets: outputs.mean(),
        contribution=lambda outputs, targets: Contribution({"loss": (outputs - targets).sum()}),
        values=lambda totals: {"loss": totals["loss"]},
        example=lambda info: torch.zeros(1, 2),
        batch=lambda inputs, targets: (inputs[:, :-1], inputs[:, 1:]),
    )
    rows = torch.tensor([[1.0, 2.0, 4.0], [1.0, 3.0, 9.0]])
    values, _ = evaluate(network, task, ResidentTensors(rows, rows.new_zeros(2, 0)).batches(in_order(2, 2)))
    assert torch.equal(seen[0], rows[:, :-1])
    assert values["loss"] == (1 - 2) + (2 - 4) + (1 - 3) + (3 - 9)


@pytest.mark.parametrize("sizes", [[24], [1] * 24, [23, 1], [7, 7, 7, 3]])
def test_outputs_vary_if_one_example_has_another_whatever_the_batches(sizes: list[int]) -> None:
    for odd in (None, 0, 11, 23):
        outputs = torch.full((24, 3), 0.25)
        if odd is not None:
            outputs[odd, 1] = 0.26
        network = Varying(lambda inputs: inputs)
        for part in outputs.split(sizes):
            assert network(part) is part
        assert network.varies == (odd is not None)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_outputs_that_are_no_numbers_are_not_called_constant(value: float) -> None:
    network = Varying(lambda inputs: inputs)
    network(torch.full((4, 3), value))
    assert network.varies
