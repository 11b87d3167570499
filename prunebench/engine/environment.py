"""Where numbers are made: the device, pinned threads, and the fingerprint that says when bits may be reused."""

from __future__ import annotations

import os
import platform
import random
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

from prunebench.api.errors import PrunebenchError
from prunebench.components.global_state import GlobalState
from prunebench.kernels.file_facts import remembered
from prunebench.kernels.hardware import processor_name
from prunebench.store.environment import Environment

ACCELERATORS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/dxg", "/dev/kfd")
"""What a system has where "auto" may be another device than the CPU."""
SWITCHES = ("ATEN_CPU_CAPABILITY", "CUDA_VISIBLE_DEVICES", "LD_LIBRARY_PATH", "LD_PRELOAD")
"""What changes what torch finds."""
VERSION = 1
"""Raised when other fields are in the fingerprint."""


def device_of(name: str) -> str:
    """The device that "auto" stands for, or `name`. Raises PrunebenchError if it is not there."""
    if name == "cpu" or (name == "auto" and not accelerators()):
        return "cpu"  # without an import of torch, which takes longer than planning
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise PrunebenchError(f'execution.device: "{name}" was asked for, and torch sees no CUDA device')
    try:
        device = torch.device(name)
    except RuntimeError:
        raise PrunebenchError(f'execution.device: torch knows no device "{name}"') from None
    if device.type == "meta":
        raise PrunebenchError('execution.device: "meta" computes no numbers; write "cpu"')
    return name


def accelerators() -> bool:
    """Whether the system shows anything that torch might compute on beside the processor."""
    return any(map(os.path.exists, ACCELERATORS))


def fingerprint(device: str, threads: int) -> Environment:
    """What bits depend on besides the phase: torch, the device, threads, the instruction set.

    Without an import of torch where an earlier process has answered on this processor, with this torch and no GPU:
    importing it takes longer than planning. Workers take their own, and refuse if it differs.
    """
    device = "cpu" if device == "auto" and not accelerators() else device
    return Environment(_kept(device, threads, lambda: _fields(device, threads)))


def fingerprint_known(device: str, threads: int) -> bool:
    """Whether `fingerprint` needs no import of torch."""

    def find_out() -> dict[str, str | int]:
        raise _UnknownError

    try:
        _kept("cpu" if device == "auto" and not accelerators() else device, threads, find_out)
    except _UnknownError:
        return False
    return True


class _UnknownError(Exception):
    """No earlier process has answered."""


def _kept(device: str, threads: int, find_out: Callable[[], dict[str, str | int]]) -> dict[str, str | int]:
    library = None if "torch" in sys.modules else _library()
    if library is None or device != "cpu" or accelerators():
        return find_out()
    about = [processor_name(), _flags(), *(f"{name}={os.environ.get(name)}" for name in SWITCHES)]
    # With the library in it: the environments of several projects on one machine would forget one another's answer.
    question = f"fingerprint {VERSION} {library} {platform.machine()} {device} {threads} {about}"
    found: dict[str, str | int] = remembered(question, [library], find_out)
    return found


def _library() -> Path | None:
    """The file that changes whenever torch does; None where there is none."""
    spec = find_spec("torch")
    version = None if spec is None or spec.origin is None else Path(spec.origin).with_name("version.py")
    return version if version is not None and version.is_file() else None


def _flags() -> str:
    """The instructions that the processor says it has."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as lines:
            return next((line for line in lines if line.startswith(("flags", "Features"))), "")
    except OSError:
        return ""


def _fields(device: str, threads: int) -> dict[str, str | int]:
    import torch

    device = device_of(device)
    name = torch.cuda.get_device_name(device) if device.startswith("cuda") else torch.device(device).type
    return {
        "torch": str(torch.__version__),  # of a class of torch's own: whoever is sent it would import torch to read it
        "device": name,
        "threads": threads,
        "instructions": f"{platform.machine()} {torch.backends.cpu.get_cpu_capability()}",
    }


def pin(device: str, threads: int) -> None:
    """Make this process compute reproducibly: fixed threads, deterministic kernels, float32 in full, denormals kept."""
    # cuBLAS reads this when it starts; without it some matrix products are not deterministic.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(True)
    # It would also fill every new tensor with NaN, which finds reads of memory that nobody wrote and costs a pass each.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    torch.set_default_dtype(torch.float32)
    # Torch's defaults, which a library that was imported, or the caller's own code, may have changed.
    if torch.get_float32_matmul_precision() != "highest":
        torch.set_float32_matmul_precision("highest")
    torch.set_flush_denormal(False)
    if device.startswith("cuda"):
        torch.backends.cudnn.benchmark = False
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False


@contextmanager
def sealed_off(device: str, threads: int, seed: int, *, foreign: bool = False, divert: bool = False) -> Iterator[None]:
    """Whatever ran before, what runs within starts from the same global state; whatever it leaves, is put back.

    That is what `pin` sets, gradients on, and torch's, NumPy's and Python's generators at a seed.

    Args:
        foreign: whether code that is not the suite's own may run within, so that what it exchanges is put back too.
        divert: whether what is printed within is a stranger's.
    """
    import numpy
    import torch

    on_cuda = device.startswith("cuda")
    before, on_device = (
        GlobalState(code="all" if foreign else False, divert=divert),
        torch.cuda.get_rng_state(device) if on_cuda else None,
    )
    pin(device, threads)
    random.seed(seed)
    numpy.random.seed(seed % 2**32)
    torch.manual_seed(seed)
    try:
        with torch.enable_grad(), torch.inference_mode(False):
            yield
    finally:
        before.restore()
        if on_device is not None:
            torch.cuda.set_rng_state(on_device, device)
