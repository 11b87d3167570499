from __future__ import annotations

import os

import pytest
import torch

from prunebench.api.errors import PrunebenchError
from prunebench.engine.environment import device_of, fingerprint, pin
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
