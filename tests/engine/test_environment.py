from __future__ import annotations

import os
import random

import numpy
import pytest
import torch

from prunebench.api.errors import PrunebenchError
from prunebench.components.global_state import GlobalState
from prunebench.engine.environment import device_of, fingerprint, pin, sealed_off
from prunebench.kernels.hardware import hardware


def test_the_fingerprint_holds_what_bits_depend_on() -> None:
    one = fingerprint("cpu", 1)
    assert one.fields["torch"] == torch.__version__
    assert one.fields["device"] == "cpu"
    assert one.id == fingerprint("cpu", 1).id
    assert one.id != fingerprint("cpu", 2).id


def test_the_device_auto_is_one_that_is_there() -> None:
    assert device_of("auto") == ("cuda" if torch.cuda.is_available() else "cpu")
    assert fingerprint("auto", 1).id == fingerprint(device_of("auto"), 1).id


def test_a_device_that_torch_does_not_know_is_named() -> None:
    with pytest.raises(PrunebenchError, match=r'execution\.device: torch knows no device "toaster"'):
        device_of("toaster")


def test_a_device_without_numbers_is_refused() -> None:
    with pytest.raises(PrunebenchError, match=r'execution\.device: "meta" computes no numbers'):
        device_of("meta")


def test_each_kind_of_device_has_a_fingerprint_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunebench.engine.environment.device_of", lambda name: name)
    assert fingerprint("cpu", 1).id != fingerprint("mps", 1).id
    assert fingerprint("mps", 1).fields["device"] == "mps"


def state() -> list[object]:
    return [
        torch.get_num_threads(),
        torch.are_deterministic_algorithms_enabled(),
        torch.get_default_dtype(),
        torch.get_float32_matmul_precision(),
        float(torch.tensor(1e-40) * 1),  # 0 where the processor flushes denormal numbers
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        random.getstate(),
        numpy.random.get_state()[1].tolist(),  # type: ignore[index,union-attr]
        torch.get_rng_state().tolist(),
    ]


def meddle() -> None:
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(False)
    torch.set_default_dtype(torch.float64)
    torch.set_float32_matmul_precision("medium")
    torch.set_flush_denormal(True)
    torch.set_grad_enabled(False)
    random.seed()
    numpy.random.seed()
    torch.seed()


def test_whatever_ran_before_the_same_global_state_is_met_and_what_is_left_is_put_back() -> None:
    outside, restored = state(), GlobalState()
    met = []
    for _ in range(2):
        with sealed_off("cpu", 1, seed=2**60):
            met.append(state())
            meddle()
        assert state() == outside
    meddle()
    try:
        with sealed_off("cpu", 1, seed=2**60):
            met.append(state())
    finally:
        restored.restore()
    assert met[0] == met[1] == met[2]
    with sealed_off("cpu", 1, seed=7):
        assert state()[-1] != met[0][-1]


def fails() -> None:
    with sealed_off("cpu", 1, seed=1):
        assert torch.is_grad_enabled()
        assert not torch.is_inference_mode_enabled()
        meddle()
        raise KeyError


def test_the_callers_own_settings_come_back_after_an_error() -> None:
    outside = state()
    with torch.inference_mode(), pytest.raises(KeyError):
        fails()
    assert state() == outside


def test_a_missing_cuda_device_is_an_error_and_not_a_quiet_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(PrunebenchError, match='"cuda:0" was asked for, and torch sees no CUDA device'):
        device_of("cuda:0")


def test_a_pinned_process_computes_deterministically_in_a_fixed_number_of_threads() -> None:
    try:
        pin("cpu", 2)
        assert torch.get_num_threads() == 2
        assert torch.are_deterministic_algorithms_enabled()
        assert not torch.is_deterministic_algorithms_warn_only_enabled()
        assert os.environ["CUBLAS_WORKSPACE_CONFIG"]
    finally:
        pin("cpu", 1)
    assert torch.get_num_threads() == 1


def test_the_hardware_is_told_in_words_and_numbers() -> None:
    found = hardware()
    assert found["cpu"]
    assert found["cores"] == len(os.sched_getaffinity(0))
