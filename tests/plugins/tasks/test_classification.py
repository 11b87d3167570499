from __future__ import annotations

import subprocess
import sys

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from prunebench.api.task import all_metrics, primary
from prunebench.components.catalogue import Catalogue
from prunebench.components.metrics import metrics_of
from prunebench.testing import TaskContract, task_of
from prunebench_plugins.tasks.classification import among

CLASSES = {"use": "classification"}


class TestClassification(TaskContract):
    component = CLASSES


class TestWithTopFive(TaskContract):
    component = {"use": "classification", "top5": True}


def outputs(count: int, classes: int) -> torch.Tensor:
    return torch.randn(count, classes, generator=torch.Generator().manual_seed(count))


def test_it_measures_accuracy_and_loss_and_is_judged_by_accuracy() -> None:
    metrics = metrics_of(Catalogue.load().use(CLASSES, slot="task"))
    assert list(metrics) == ["accuracy", "loss"]
    assert primary(metrics) == "accuracy"
    assert list(all_metrics(metrics)) == ["accuracy", "loss", "early_stop_iteration", "early_stop_accuracy"]
    assert [info.unit for info in all_metrics(metrics).values()] == ["fraction", "nats", "it", "fraction"]
    assert [info.higher for info in all_metrics(metrics).values()] == [True, False, False, True]


def test_its_metrics_are_known_without_torch() -> None:
    code = (
        "import sys; from prunebench.components.catalogue import Catalogue; "
        "from prunebench.components.metrics import metrics_of; "
        "metrics_of(Catalogue.load().use('classification', slot='task')); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@settings(deadline=None)
@given(st.integers(2, 9), st.floats(0, 0.9))
def test_label_smoothing_gives_a_share_of_each_target_to_all_classes(classes: int, smoothing: float) -> None:
    logits, targets = outputs(6, classes), torch.arange(6) % classes
    wanted = (1 - smoothing) * functional.one_hot(targets, classes) + smoothing / classes
    by_hand = -(wanted * functional.log_softmax(logits, 1)).sum(1).mean()
    assert float(task_of(CLASSES, smoothing).objective(logits, targets)) == pytest.approx(float(by_hand), rel=1e-5)


@settings(deadline=None)
@given(st.floats(0, 1), st.floats(0, 0.9))
def test_soft_targets_are_the_mixture_of_what_they_mix(share: float, smoothing: float) -> None:
    objective = task_of(CLASSES, smoothing).objective
    logits, one, other = outputs(8, 5), torch.arange(8) % 5, (torch.arange(8) + 2) % 5
    soft = share * functional.one_hot(one, 5).float() + (1 - share) * functional.one_hot(other, 5).float()
    mixed = share * objective(logits, one) + (1 - share) * objective(logits, other)
    assert float(objective(logits, soft)) == pytest.approx(float(mixed), rel=1e-5)


@settings(deadline=None)
@given(st.lists(st.lists(st.integers(0, 3), min_size=7, max_size=7), min_size=1, max_size=6), st.integers(1, 7))
def test_the_largest_are_those_that_a_stable_sort_puts_first(rows: list[list[int]], most: int) -> None:
    logits = torch.tensor(rows, dtype=torch.float32)
    targets = torch.arange(len(rows)) % 7
    first = logits.sort(stable=True, dim=1, descending=True).indices[:, :most]
    assert among(logits, targets, most).tolist() == (first == targets[:, None]).any(1).tolist()


def test_nothing_is_right_among_outputs_that_are_no_numbers() -> None:
    assert not bool(among(torch.full((3, 10), float("nan")), torch.tensor([0, 4, 9]), 5).any())


def test_the_largest_of_all_is_what_accuracy_counts() -> None:
    logits, targets = outputs(500, 10), torch.arange(500) % 10
    assert torch.equal(among(logits, targets, 1), logits.argmax(1) == targets)
