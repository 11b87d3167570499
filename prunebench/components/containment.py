"""A component's hook, contained: what it raises is named after it, and what it changes globally is found and undone.

A component may do what it likes with what it is given, but the numbers of other entries must not depend on it. So each
call leaves the state of the process as it found it, and a call that does not is an error. No torch at import: where
torch is not loaded, it has no state to keep.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from prunebench.api.errors import ContractError, PrunebenchError
from prunebench.api.untrusted_text import describe

if TYPE_CHECKING:
    import pluggy

FOR_NUMBERS = frozenset(
    f"prunebench_{name}"
    for name in (
        "analyse",
        "data",
        "initialise",
        "loss_terms",
        "mask_updates",
        "model",
        "optimizer",
        "prune",
        "score",
        "select",
        "task",
        "ticket",
        "units",
    )
)
"""Hooks whose calls share a process with the computation of numbers: global state is kept around each."""

SEEDED = frozenset({"prunebench_model"})
"""Hooks that may draw from the global generators, since these are seeded for the call and put back after it."""

OUTSIDE = frozenset({"prunebench_report", "prunebench_track", "prunebench_downloads", "prunebench_components"})
"""Hooks that no number depends on; their callers say what becomes of a failure."""


@dataclass(frozen=True)
class _Setting:
    """One piece of state that all computations of a process share."""

    name: str
    read: Callable[[], Any]
    write: Callable[[Any], object]
    random: bool = False


class GlobalState:
    """The state of Python, NumPy and torch that computations share, as it is now."""

    def __init__(self) -> None:
        self._before = [(setting, setting.read()) for setting in _settings()]

    def restore(self) -> list[_Setting]:
        """Put everything back; what had changed."""
        changed = []
        for setting, value in self._before:
            if not _same(setting.read(), value):
                changed.append(setting)
                setting.write(value)
        return changed


def contain(manager: pluggy.PluginManager) -> None:
    """Contain every hook call of a manager.

    A call then raises ContractError, naming the components that answer it, where one of them raises what is not
    prunebench's own error, leaves the program (`sys.exit`), or changes global state. Ctrl-C passes as it is.
    """
    states: list[GlobalState | None] = []

    def before(hook: str, implementations: Sequence[pluggy.HookImpl], arguments: Mapping[str, Any]) -> None:
        states.append(GlobalState() if hook in FOR_NUMBERS else None)

    def after(
        outcome: pluggy.Result[Any],
        hook: str,
        implementations: Sequence[pluggy.HookImpl],
        arguments: Mapping[str, Any],
    ) -> None:
        state = states.pop()
        changed = [] if state is None else state.restore()
        error = outcome.exception
        if hook in OUTSIDE:
            return
        who = _named(implementations)
        if error is not None:
            if isinstance(error, Exception | SystemExit) and not isinstance(error, PrunebenchError):
                outcome.force_exception(failure(who, hook, error))
            return
        leaked = [setting.name for setting in changed if not (setting.random and hook in SEEDED)]
        if leaked:
            outcome.force_exception(leak(who, hook, leaked))

    manager.add_hookcall_monitoring(before, after)


def failure(who: str, hook: str, error: BaseException) -> ContractError:
    """What is said of a component whose hook raised something; the original is its cause."""
    contained = ContractError(f"component {who}: {hook} failed: {describe(error)}")
    contained.__cause__ = error
    return contained


def leak(who: str, hook: str, changed: Iterable[str]) -> ContractError:
    """What is said of a component that leaves global state changed."""
    return ContractError(
        f"component {who}: {hook} changed {' and '.join(changed)}, which all computations of the process share; a "
        "component leaves it as it was, and draws from `rng` alone"
    )


def _named(implementations: Sequence[pluggy.HookImpl]) -> str:
    # run_manager numbers the names, since one component may stand twice in a file
    return " and ".join(dict.fromkeys(one.plugin_name.partition(":")[2] for one in reversed(implementations)))


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(_same(x, y) for x, y in zip(a, b, strict=True))
    equal = a == b
    return bool(equal.all()) if hasattr(equal, "all") else bool(equal)


def _settings() -> list[_Setting]:
    settings = [_Setting("Python's random generator", random.getstate, random.setstate, random=True)]
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        settings.append(
            _Setting("NumPy's random generator", numpy.random.get_state, numpy.random.set_state, random=True)
        )
    if torch is not None:
        settings += _of_torch(torch)
    return settings


def _of_torch(torch: Any) -> list[_Setting]:
    def deterministic() -> tuple[bool, bool]:
        return torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()

    def restore_deterministic(state: tuple[bool, bool]) -> None:
        torch.use_deterministic_algorithms(state[0], warn_only=state[1])

    def restore_device(device: Any) -> None:
        # "cpu" in so many words would leave a mode behind that every later call of torch goes through.
        torch.set_default_device(None if device.type == "cpu" else device)

    return [
        _Setting("torch's gradient mode", torch.is_grad_enabled, torch.set_grad_enabled),
        _Setting("torch's default type", torch.get_default_dtype, torch.set_default_dtype),
        _Setting("torch's default device", torch.get_default_device, restore_device),
        _Setting("torch's number of threads", torch.get_num_threads, torch.set_num_threads),
        _Setting("torch's deterministic algorithms", deterministic, restore_deterministic),
        _Setting(
            "torch's precision of float32 products",
            torch.get_float32_matmul_precision,
            torch.set_float32_matmul_precision,
        ),
        _Setting("torch's anomaly detection", torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly),
        _Setting("torch's random generator", torch.get_rng_state, torch.set_rng_state, random=True),
    ]
