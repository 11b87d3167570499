"""The state that all computations of a process share: taken, compared and put back. No torch at import.

What Python, NumPy and torch keep for the process as a whole can change the numbers of whatever runs next, without a
trace in any key. Where torch is not loaded, it has no state to keep.
"""

from __future__ import annotations

import gc
import logging
import os
import random
import resource
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from prunebench.components.interrupts import raise_ctrl_c
from prunebench.components.patched_code import Code
from prunebench.components.standard_streams import Streams

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_SMALLEST = 5e-324
"""A number that is not 0 unless the processor flushes such small ones to 0."""

_FLAGS = (
    *("cudnn_enabled", "cudnn_benchmark", "cudnn_deterministic", "cudnn_allow_tf32", "mkldnn_enabled"),
    *("mkldnn_deterministic", "nnpack_enabled", "cublas_allow_tf32", "cublas_allow_fp16_accumulation"),
    *("cublas_allow_fp16_reduced_precision_reduction", "cublas_allow_bf16_reduced_precision_reduction"),
    *("cpu_allow_fp16_reduced_precision_reduction", "math_sdp_allow_fp16_bf16_reduction"),
)
"""Switches that say with which kernels torch computes, or how precisely."""
_ATTENTION = ("flash", "math", "mem_efficient", "cudnn", "overrideable")
"""Kernels of attention, each of which can be switched off."""


@dataclass(frozen=True)
class Setting:
    """One piece of state that all computations of a process share.

    Args:
        random: a generator, from which some hooks may draw.
        quiet: what an ordinary import changes too, and no number depends on: put back, and no breach.
    """

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    random: bool = False
    quiet: bool = False


class GlobalState:
    """The state of Python, NumPy and torch that computations share, as it is now.

    Args:
        process: also what belongs to the process rather than to numbers: signals, folder, environment variables.
        code: also the functions and modules that all share, or with "all" the suite's own too; see `patched_code`.
        divert: whether what is printed until `restore` is a stranger's; see `standard_streams`.
    """

    def __init__(self, *, process: bool = True, code: bool | Literal["all"] = False, divert: bool = False) -> None:
        settings = [*_of_numbers(), *(_of_process() if process else ())]
        self._before = [(setting, setting.read()) for setting in settings]
        self._streams = Streams(divert=divert) if process else None
        self._code = Code(own=code == "all") if code else None

    def restore(self) -> list[Setting]:
        """Put everything back; what had changed and should not have."""
        # First, since all that follows goes through it.
        changed = [] if self._code is None else [_named(name) for name in self._code.restore()]
        if self._streams is not None and self._streams.restore():
            changed.append(_named("the standard streams"))
        for setting, value in self._before:
            if not _same(setting.read(), value):
                setting.write(value)
                if not setting.quiet:
                    changed.append(setting)
        return changed


def _same(a: Any, b: Any) -> bool:
    try:
        return bool(a == b)
    except (ValueError, RuntimeError):  # arrays and tensors, alone or in a tuple, give an answer for each element
        if isinstance(a, tuple) and isinstance(b, tuple):
            return len(a) == len(b) and all(map(_same, a, b))
        return a.shape == b.shape and bool((a == b).all())


def _named(what: str) -> Setting:
    """What was put back otherwise."""
    return Setting(what, lambda: None, lambda old: None)


def _of_process() -> Iterator[Setting]:
    yield Setting("Python's collector of garbage", _collector, _set_collector, quiet=True)
    yield Setting("the switching of threads", sys.getswitchinterval, sys.setswitchinterval, quiet=True)
    yield Setting("the length of integers as text", sys.get_int_max_str_digits, sys.set_int_max_str_digits, quiet=True)
    yield Setting("the level below which nothing is logged", _logged, logging.disable, quiet=True)
    if threading.current_thread() is not threading.main_thread():
        return  # another thread may change them meanwhile, and would lose that
    yield Setting("the working folder", _folder, _go_to)
    yield Setting("the permissions of new files", _umask, os.umask)
    yield from (Setting(f"the limit {name}", *_limit(number)) for name, number in _limits())
    yield Setting("the function that traces", sys.gettrace, sys.settrace, quiet=True)
    yield Setting("the function that profiles", sys.getprofile, sys.setprofile, quiet=True)
    yield Setting("the environment variables", lambda: dict(os.environ), _set_environment, quiet=True)
    yield Setting("Python's limit of recursion", sys.getrecursionlimit, sys.setrecursionlimit)
    yield Setting("the filters of warnings", lambda: list(warnings.filters), _set_filters, quiet=True)
    yield Setting("a signal's handler", _handlers, _set_handlers)
    if hasattr(signal, "getitimer"):
        yield Setting("the interval timer", _has_timer, _set_timer)


def _of_numbers() -> Iterator[Setting]:
    yield Setting("Python's random generator", random.getstate, random.setstate, random=True)
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        yield Setting("NumPy's random generator", numpy.random.get_state, numpy.random.set_state, random=True)
        yield Setting("NumPy's answer to floating-point errors", numpy.geterr, lambda old: numpy.seterr(**old))
    # A module stands in sys.modules from the beginning of its import.
    if torch is not None and hasattr(torch, "set_flush_denormal") and "torch.optim.optimizer" in sys.modules:
        yield from _of_torch(torch)
        yield from _hooks_of_torch(torch)


def _of_torch(torch: Any) -> Iterator[Setting]:
    def deterministic() -> tuple[bool, bool]:
        return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()

    def restore_deterministic(state: tuple[bool, bool]) -> None:
        torch.use_deterministic_algorithms(state[0], warn_only=state[1])

    def restore_device(device: Any) -> None:
        # "cpu" in so many words would leave a mode behind that every later call of torch goes through.
        torch.set_default_device(None if device.type == "cpu" else device)

    def set_filled(filled: bool) -> None:
        torch.utils.deterministic.fill_uninitialized_memory = filled

    yield Setting("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled)
    # It ends with the object that began it; the next phase begins outside of it in any case.
    yield Setting("torch's inference mode", torch.is_inference_mode_enabled, lambda old: None)
    yield Setting("torch's default type", torch.get_default_dtype, torch.set_default_dtype)
    yield Setting("torch's default device", torch.get_default_device, restore_device)
    yield Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads)
    yield Setting("torch's deterministic algorithms", deterministic, restore_deterministic)
    yield Setting(
        "torch's filling of new memory", lambda: torch.utils.deterministic.fill_uninitialized_memory, set_filled
    )
    yield Setting(
        "torch's precision of float32 products",
        torch.get_float32_matmul_precision,
        torch.set_float32_matmul_precision,
    )
    yield Setting("torch's anomaly detection", torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly)
    yield Setting("torch's treatment of denormal numbers", _flushes, torch.set_flush_denormal)
    yield from (_automatic_precision(torch, device) for device in ("cpu", "cuda"))
    for name in _FLAGS:
        yield from _flag(torch, name, f"_get_{name}", f"_set_{name}")
    for name in _ATTENTION:
        yield from _flag(torch, f"{name}_sdp_enabled", f"_get_{name}_sdp_enabled", f"_set_sdp_use_{name}")
    yield Setting(
        "torch's fast path of attention",
        torch.backends.mha.get_fastpath_enabled,
        torch.backends.mha.set_fastpath_enabled,
    )
    yield Setting("torch's random generator", torch.get_rng_state, torch.set_rng_state, random=True)


def _flag(torch: Any, name: str, get: str, put: str) -> Iterator[Setting]:
    """A switch of torch's, where this version has it."""
    read, write = getattr(torch._C, get, None), getattr(torch._C, put, None)
    if read is not None and write is not None:
        yield Setting(
            f"torch's backend flag {name}", read, lambda old: write(*old if isinstance(old, tuple) else (old,))
        )


def _automatic_precision(torch: Any, device: str) -> Setting:
    def read() -> tuple[bool, Any]:
        return torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)

    def write(old: tuple[bool, Any]) -> None:
        torch.set_autocast_enabled(device, old[0])
        torch.set_autocast_dtype(device, old[1])

    return Setting(f"torch's automatic precision on {device}", read, write)


def _hooks_of_torch(torch: Any) -> Iterator[Setting]:
    """What torch calls around every module, step and operation of the process."""
    yield from (_registry(f"torch's {name}", registry) for name, registry in _registries(torch))
    for kind in ("function", "dispatch"):
        length = getattr(torch._C, f"_len_torch_{kind}_stack", None)
        pop = getattr(torch._C, f"_pop_torch_{kind}_stack", None)
        if length is not None and pop is not None:
            yield _modes(f"torch's {kind} modes", length, pop)
    autograd: Any = getattr(torch._C, "_autograd", None)
    if hasattr(autograd, "_top_saved_tensors_default_hooks"):
        yield _saved_tensors(autograd)


def _registry(name: str, registry: MutableMapping[Any, Any]) -> Setting:
    def write(old: list[Any]) -> None:
        registry.clear()
        registry.update(old)

    return Setting(name, lambda: list(registry.items()), write)


def _modes(name: str, length: Callable[[], int], pop: Callable[[], object]) -> Setting:
    def write(old: int) -> None:
        for _ in range(length() - old):
            pop()

    return Setting(name, length, write)


def _saved_tensors(autograd: Any) -> Setting:
    def read() -> object:
        return autograd._top_saved_tensors_default_hooks(True)

    def write(old: object) -> None:
        while (now := read()) is not None and now != old:
            autograd._pop_saved_tensors_default_hooks()

    return Setting("torch's hooks of saved tensors", read, write)


def _registries(torch: Any) -> Iterator[tuple[str, MutableMapping[Any, Any]]]:
    # torch.optim hides its own module of that name.
    for module in (torch.nn.modules.module, sys.modules["torch.optim.optimizer"]):
        for name, registry in vars(module).items():
            if name.startswith("_global_") and name.endswith(("hooks", "hooks_always_called", "hooks_with_kwargs")):
                yield name.strip("_").replace("_", " "), registry


def _flushes() -> bool:
    return _SMALLEST * float(len(_SIGNALS)) == 0.0


def _folder() -> str | None:
    try:
        return os.getcwd()
    except FileNotFoundError:  # somebody removed it
        return None


def _go_to(folder: str | None) -> None:
    if folder is not None:
        os.chdir(folder)


def _umask() -> int:
    # It can only be read by setting it; what another thread makes in that moment is not open to more than before.
    before = os.umask(0o077)
    os.umask(before)
    return before


def _limits() -> list[tuple[str, int]]:
    """What the system lets a process have at most."""
    return [(name, number) for name, number in vars(resource).items() if name.startswith("RLIMIT_")]


def _limit(number: int) -> tuple[Callable[[], Any], Callable[[Any], object]]:
    def write(old: tuple[int, int]) -> None:
        with suppress(ValueError, OSError):  # nobody raises again what was lowered for good
            resource.setrlimit(number, (old[0], resource.getrlimit(number)[1]))

    return lambda: resource.getrlimit(number), write


def _collector() -> tuple[bool, tuple[int, int, int]]:
    return gc.isenabled(), gc.get_threshold()


def _set_collector(old: tuple[bool, tuple[int, int, int]]) -> None:
    (gc.enable if old[0] else gc.disable)()
    gc.set_threshold(*old[1])


def _logged() -> int:
    return logging.root.manager.disable


def _set_environment(old: dict[str, str]) -> None:
    for name in os.environ.keys() - old.keys():
        del os.environ[name]
    os.environ.update(old)


def _set_filters(old: list[Any]) -> None:
    with warnings.catch_warnings():
        pass  # its end tells the warnings module that what it remembers of filters is out of date
    warnings.filters[:] = old  # type: ignore[index]


def _handlers() -> list[Any]:
    return [signal.getsignal(number) for number in _SIGNALS]


def _set_handlers(old: list[Any]) -> None:
    for number, handler in zip(_SIGNALS, old, strict=True):
        if handler is not None:  # None was not set from Python, and cannot be set back from it
            signal.signal(number, handler)


def _has_timer() -> bool:
    # A SIGTERM that arrives while a component works begins a timer too, which is the command's own.
    return signal.getsignal(signal.SIGALRM) is not raise_ctrl_c and signal.getitimer(signal.ITIMER_REAL)[0] > 0


def _set_timer(was_on: bool) -> None:
    if not was_on:  # one that was on is its owner's to begin again: nobody knows how much of it is left
        signal.setitimer(signal.ITIMER_REAL, 0)
