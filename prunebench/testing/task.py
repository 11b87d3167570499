# ruff: noqa: D102 (the name of a law is the sentence that says it)
"""The contract of tasks: the objective, what a batch becomes, what is measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from prunebench.api.data import Batch, in_order
from prunebench.api.task import LOSS, Contribution, Metrics, Task, primary
from prunebench.components.managers import accepts
from prunebench.components.metrics import metrics_of
from prunebench.kernels.evaluation import evaluate
from prunebench.testing.contract import Contract
from prunebench.testing.states import no_global_randomness


class TaskContract(Contract):
    """Laws of prunebench_task and prunebench_metrics. Override `data` and `model` with ones that fit the task."""

    slot = "task"

    def task(self) -> Task:
        """The component's task, without label smoothing."""
        return self.smoothed(0.0)

    def smoothed(self, label_smoothing: float) -> Task:
        """The component's task under a recipe with label smoothing."""
        task: Task = self.hooks().prunebench_task(label_smoothing=label_smoothing)
        assert isinstance(task, Task)
        return task

    def metrics(self) -> Metrics:
        """What it says that it measures."""
        return metrics_of(self.use())

    def batches(self, size: int) -> list[Batch]:
        """The test split as the task makes it, in batches of a size."""
        split, task = self.data()["test"], self.task()
        return [task.batch(*batch) for batch in split.batches(in_order(split.size, size))]

    @torch.no_grad()
    def measured(self, size: int) -> tuple[Mapping[str, float], Tensor | None]:
        """The metrics of the network on the test split, taken in batches of a size."""
        split = self.data()["test"]
        return evaluate(self.model().eval(), self.task(), split.batches(in_order(split.size, size)))

    @torch.no_grad()
    def contribution(self) -> Contribution:
        """That of the whole test split as one batch."""
        ((inputs, targets),) = self.batches(self.data()["test"].size)
        return self.task().contribution(self.model().eval()(inputs), targets)

    def test_metrics_read_as_they_should(self) -> None:
        for info in self.metrics().values():
            assert info.low is None or info.high is None or info.low < info.high

    def test_a_batch_keeps_its_examples_and_is_like_the_example(self) -> None:
        data, task = self.data(), self.task()
        example = task.example(data.info)
        assert example.device.type == "cpu"
        assert example.shape[0] == 1
        for inputs, targets in self.batches(5):
            assert len(inputs) == len(targets) <= 5
            assert inputs.shape[1:] == example.shape[1:]
            assert inputs.dtype == example.dtype

    def test_the_objective_is_a_finite_scalar_with_a_gradient_in_the_outputs(self) -> None:
        ((inputs, targets),) = self.batches(self.data()["test"].size)
        outputs = self.model().eval()(inputs).detach().requires_grad_(True)
        with no_global_randomness():
            loss = self.task().objective(outputs, targets)
        assert loss.ndim == 0
        (gradient,) = torch.autograd.grad(loss, outputs)
        assert bool(loss.isfinite())
        assert bool(gradient.isfinite().all())
        assert bool(gradient.any())

    @torch.no_grad()
    def test_the_loss_that_is_measured_is_the_mean_of_the_objective(self) -> None:
        ((inputs, targets),) = self.batches(self.data()["test"].size)
        objective = float(self.task().objective(self.model().eval()(inputs), targets))
        assert self.measured(self.data()["test"].size)[0][LOSS] == pytest.approx(objective, rel=1e-5)

    def test_every_metric_is_measured_and_lies_in_its_range(self) -> None:
        metrics, (values, _) = self.metrics(), self.measured(7)
        assert values.keys() == metrics.keys()
        for name, info in metrics.items():
            assert info.low is None or values[name] >= info.low
            assert info.high is None or values[name] <= info.high

    def test_the_size_of_batches_makes_no_difference_but_for_rounding(self) -> None:
        values, correct = self.measured(self.data()["test"].size)
        for size in (1, 7):
            again, same = self.measured(size)
            assert dict(again) == pytest.approx(dict(values), rel=1e-5)
            assert (correct is None) == (same is None)
            assert correct is None or same is None or torch.equal(correct, same)

    def test_sums_of_tensors_wait_for_nothing_and_numbers_are_plain(self) -> None:
        sums: Mapping[str, Any] = self.contribution().sums
        assert sums
        assert all(isinstance(value, Tensor | int | float) for value in sums.values())

    def test_the_primary_metric_is_the_mean_of_what_is_correct(self) -> None:
        values, correct = self.measured(7)
        if correct is not None:
            assert correct.dtype == torch.bool
            assert correct.shape == (self.data()["test"].size,)
            assert values[primary(self.metrics())] == int(correct.sum()) / correct.numel()

    def test_label_smoothing_changes_the_objective_alone(self) -> None:
        if not accepts(self.use().planner, "prunebench_task", "label_smoothing"):
            return
        ((inputs, targets),) = self.batches(self.data()["test"].size)
        with torch.no_grad():
            outputs = self.model().eval()(inputs)
            plain, smooth = self.smoothed(0.0), self.smoothed(0.5)
            assert float(plain.objective(outputs, targets)) != float(smooth.objective(outputs, targets))
            split = self.data()["test"]
            values, _ = evaluate(self.model().eval(), smooth, split.batches(in_order(split.size, 7)))
        assert values == self.measured(7)[0]
