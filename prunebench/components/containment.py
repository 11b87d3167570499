"""A component's hook, contained: what it raises is named after it, and what it changes globally is found and undone.

A component may do what it likes with what it is given, but the numbers of other entries must not depend on it. So each
call leaves the state of the process as it found it, and a call that does not is an error. No torch at import.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from prunebench.api.errors import ContractError, DataUnusable, PlanError, PrunebenchError
from prunebench.api.untrusted_text import describe, printable
from prunebench.components.global_state import GlobalState
from prunebench.components.interrupts import is_ctrl_c
from prunebench.components.time_limit import HookTimeout

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
        "transforms",
        "units",
    )
)
"""Hooks whose calls share a process with the computation of numbers: global state is kept around each."""

SEEDED = frozenset({"prunebench_model"})
"""Hooks that may draw from the global generators, since these are seeded for the call and put back after it."""

ASIDE = frozenset({"prunebench_report", "prunebench_track"})
"""Hooks that are called between computations: what they change of what numbers are computed with is put back."""

MOST_NAMED = 5
"""How much of what a component left changed is named."""

OUTSIDE = ASIDE | frozenset({"prunebench_downloads", "prunebench_components"})
"""Hooks that no number depends on; their callers say what becomes of a failure."""


def contain(manager: pluggy.PluginManager, *, foreign: bool = True) -> None:
    """Contain every hook call of a manager.

    Args:
        foreign: whether some of its components are not the suite's own, so that the code that all share is looked at
            too, which takes some milliseconds.

    A call then raises ContractError, naming the components that answer it, where one of them raises what is not
    prunebench's own error, leaves the program (`sys.exit`), or changes global state. Ctrl-C passes as it is.
    """
    states: list[GlobalState | None] = []

    def before(hook: str, implementations: Sequence[pluggy.HookImpl], arguments: Mapping[str, Any]) -> None:
        # A tracker or a report may keep the process as it likes, but not what numbers are computed with.
        watched = hook in FOR_NUMBERS | ASIDE
        states.append(GlobalState(process=hook in FOR_NUMBERS, code=foreign, divert=foreign) if watched else None)

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
            if is_strangers(error):
                outcome.force_exception(failure(who, hook, error))
            return
        leaked = [setting.name for setting in changed if not (setting.random and hook in SEEDED)]
        if leaked:
            outcome.force_exception(leak(who, hook, leaked))

    manager.add_hookcall_monitoring(before, after)


def is_strangers(error: BaseException) -> bool:
    """Whether an error is to be told as a component's: all but those of the suite itself, and Ctrl-C."""
    return not isinstance(error, PrunebenchError) and not is_ctrl_c(error)


def failure(who: str, hook: str, error: BaseException) -> PrunebenchError:
    """What is said of a component whose hook raised something; the original is its cause.

    Files of a data set that may not be read are no fault of the component.
    """
    contained: PrunebenchError
    if hook == "prunebench_data" and isinstance(error, PermissionError) and isinstance(error.filename, str):
        why = f"{printable(error.filename)} may not be read by this user ({error.strerror})"
        contained = DataUnusable(f"data {who}: {why}. Make it readable and run again.")
    else:
        contained = ContractError(f"component {who}: {hook} failed: {describe(error)}")
    contained.__cause__ = error
    return contained


@contextmanager
def contained(what: str) -> Iterator[None]:
    """Within it, code runs that a component gave earlier: a network, a term of the loss, units.

    Whatever that raises, also to leave the program, is an error that begins with `what`. A limit of time passes as it
    is, for whoever set it.

    Raises: PlanError
    """
    try:
        yield
    except ContractError as error:
        # A hook failed, of these components or of one that was given theirs, such as units that follow a network.
        raise PlanError(str(error) if what in str(error) else f"{what}: {error}") from error
    except BaseException as error:
        if not is_strangers(error) or isinstance(error, HookTimeout):
            raise
        raise PlanError(f"{what}: {describe(error)}") from error


def leak(who: str, hook: str, changed: Iterable[str]) -> ContractError:
    """What is said of a component that leaves global state changed."""
    names = list(changed)
    listed = " and ".join(names[:MOST_NAMED]) + (f" and {len(names) - MOST_NAMED} more" * (len(names) > MOST_NAMED))
    return ContractError(
        f"component {who}: {hook} changed {listed}, which all computations of the process share; a "
        "component leaves it as it was, and draws from `rng` alone"
    )


def _named(implementations: Sequence[pluggy.HookImpl]) -> str:
    # run_manager numbers the names, since one component may stand twice in a file
    return " and ".join(dict.fromkeys(one.plugin_name.partition(":")[2] for one in reversed(implementations)))
