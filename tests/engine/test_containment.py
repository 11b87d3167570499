"""A component cannot change what another's numbers rest on without being named."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from prunebench.api.component import BoundComponent, Component, ComponentConfig, Provider
from prunebench.api.data import Data, Resident
from prunebench.api.errors import ContractError, LostArtifact
from prunebench.engine.containment import contained, fingerprint_of
from prunebench.testing import ToyData

SOMEBODY = BoundComponent(
    Provider(Component("bad", ComponentConfig, lambda config: object(), 1), "lab 0.3"), ComponentConfig()
)

LEAKS: dict[str, Callable[[], object]] = {
    "torch's gradient mode": lambda: torch.set_grad_enabled(False),
    "torch's default type": lambda: torch.set_default_dtype(torch.float64),
    "torch's default device": lambda: torch.set_default_device("meta"),
    "torch's number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "torch's deterministic algorithms": lambda: torch.use_deterministic_algorithms(False),
    "torch's precision of float32 products": lambda: torch.set_float32_matmul_precision("medium"),
    "torch's anomaly detection": lambda: torch.autograd.set_detect_anomaly(True),
    "torch's random generator": lambda: torch.rand(1),
    "NumPy's random generator": lambda: np.random.rand(),
    "Python's random generator": random.random,
}


@pytest.mark.parametrize(("what", "leak"), LEAKS.items(), ids=LEAKS)
@pytest.mark.filterwarnings("ignore:Anomaly Detection")
def test_what_a_hook_leaves_changed_is_named_and_put_back(what: str, leak: Callable[[], object]) -> None:
    with contained(SOMEBODY, "prunebench_score"):
        pass
    before = torch.get_rng_state(), torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()
    match = rf"component bad \(lab 0.3\): prunebench_score changed {what}"
    with pytest.raises(ContractError, match=match), contained(SOMEBODY, "prunebench_score"):
        leak()
    after = torch.get_rng_state(), torch.get_default_dtype(), torch.is_grad_enabled(), torch.get_num_threads()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    with contained(SOMEBODY, "prunebench_score"):
        pass  # nothing is left of it


def leave_and_raise(error: BaseException) -> None:
    torch.set_default_dtype(torch.float64)
    raise error


@pytest.mark.parametrize("error", [ValueError("no"), SystemExit(0), RuntimeError(), MemoryError("large")])
def test_what_a_hook_raises_names_the_component_and_leaves_no_trace(error: BaseException) -> None:
    match = r"component bad \(lab 0.3\): prunebench_score failed: "
    with pytest.raises(ContractError, match=match), contained(SOMEBODY, "prunebench_score"):
        leave_and_raise(error)
    assert torch.get_default_dtype() == torch.float32


def test_errors_of_the_suite_itself_pass_as_they_are() -> None:
    with pytest.raises(LostArtifact), contained(SOMEBODY, "prunebench_score"):
        raise LostArtifact("0" * 64, "gone")


def test_ctrl_c_passes_as_it_is() -> None:
    with pytest.raises(KeyboardInterrupt), contained(SOMEBODY, "prunebench_score"):
        raise KeyboardInterrupt


def copy_of(data: Data) -> Data:
    splits = {n: replace(s, images=s.images.clone(), labels=s.labels.clone()) for n, s in data.splits.items()}  # type: ignore[type-var]
    return replace(data, splits=splits)


SPOILED: dict[str, Callable[[Resident], object]] = {
    "an image": lambda split: split.images[0, 0, 0].add_(1),
    "a label": lambda split: split.labels[-1:].add_(1),
    "behind torch's back": lambda split: split.images.numpy().__setitem__((0, 0, 0, 0), 77),
    "two labels that change places": lambda split: split.labels[:2].copy_(split.labels[:2].flip(0)),
    "two images that change places": lambda split: split.images[:2].copy_(split.images[:2].flip(0)),
}


@pytest.mark.parametrize("split", ["train", "valid", "test"])
@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
def test_a_write_into_the_data_is_seen(spoil: Callable[[Resident], object], split: str) -> None:
    data = copy_of(ToyData().prunebench_data())
    labels = data[split].labels  # type: ignore[attr-defined]
    labels[0], labels[1] = 0, 1
    before = fingerprint_of(data)
    assert fingerprint_of(data) == before
    spoil(data[split])  # type: ignore[arg-type]
    assert fingerprint_of(data) != before


@given(st.lists(st.integers(0, 255), min_size=1, max_size=60), st.data())
def test_any_other_byte_gives_another_fingerprint(values: list[int], data: st.DataObject) -> None:
    place = data.draw(st.integers(0, len(values) - 1))
    other = [*values]
    other[place] = data.draw(st.integers(0, 255).filter(lambda v: v != values[place]))
    made = [
        Data(
            ToyData().prunebench_data().info,
            {"train": Resident(torch.tensor(v, dtype=torch.uint8), torch.zeros(1), (0.0,), (1.0,))},
        )
        for v in (values, other)
    ]
    assert fingerprint_of(made[0]) != fingerprint_of(made[1])
