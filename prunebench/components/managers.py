"""Plugin managers: one for each run, with the components that an entry names and no others. No torch."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from functools import cache
from itertools import islice
from typing import Any, TypeVar

import pluggy

from prunebench.api import hookspecs
from prunebench.api.component import BoundComponent, Component
from prunebench.api.errors import ContractError, PlanError
from prunebench.components.containment import contain, failure, is_strangers
from prunebench.components.global_state import GlobalState
from prunebench.components.standard_streams import diverted
from prunebench.components.time_limit import limited

GROUP = "prunebench"

T = TypeVar("T")

MOST_ANSWERS = 100_000
"""Values that one planning hook may yield."""


def run_manager(uses: Sequence[BoundComponent]) -> pluggy.PluginManager:
    """A fresh manager with these components alone: answers in their order, each wrapper around those before it.

    Raises:
        ContractError: a component that cannot be built, a hook with a wrong signature, or two providers of a
            first-result hook; names both.
    """
    manager = _manager()
    foreign = any(use.provider.foreign for use in uses)
    contain(manager, foreign=foreign)
    state = GlobalState(code=foreign, divert=foreign)
    try:
        built = [(f"{index}:{use}", use, _built(use)) for index, use in enumerate(uses)]
    finally:
        state.restore()  # of constructors
    # pluggy calls the last registered first. Read from top to bottom, plain answers come in the order of the file,
    # and each wrapper goes around those above it.
    plain = [one for one in built if not _wraps(one[2])]
    for name, use, plugin in (*reversed(plain), *(one for one in built if _wraps(one[2]))):
        try:
            manager.register(plugin, name=name)
            manager.check_pending()
        except pluggy.PluginValidationError as error:
            raise ContractError(f"component {use}: {' '.join(str(error).split())}") from error
    for name, spec in vars(hookspecs).items():
        options = getattr(spec, "prunebench_spec", None)
        if options is None or not options["firstresult"]:
            continue
        answers = [i for i in getattr(manager.hook, name).get_hookimpls() if not (i.wrapper or i.hookwrapper)]
        if len(answers) > 1:
            names = " and ".join(i.plugin_name.partition(":")[2] for i in reversed(answers))
            raise ContractError(f"{name} is answered by {names}; only one may")
    return manager


def _built(use: BoundComponent) -> object:
    try:
        return use.build()
    except BaseException as error:
        if not is_strangers(error):
            raise
        raise failure(str(use), "its constructor", error) from error


def _wraps(plugin: object) -> bool:
    """Whether a built component wraps another's answer to some hook."""
    options = (getattr(getattr(plugin, hook, None), "prunebench_impl", None) for hook in hookspecs.SLOTS.values())
    return any(o is not None and (o["wrapper"] or o["hookwrapper"]) for o in options)


def _manager() -> pluggy.PluginManager:
    manager = pluggy.PluginManager(GROUP)
    manager.add_hookspecs(hookspecs)
    return manager


_checking = cache(_manager)
"""One manager for looking at hooks alone: making one takes longer than all else about a component."""


def check_signatures(plugin: object) -> None:
    """Raises pluggy.PluginValidationError unless every hook of a plugin is one, with arguments that it has."""
    manager = _checking()
    try:
        manager.register(plugin)
        manager.check_pending()
    finally:
        if manager.is_registered(plugin):
            manager.unregister(plugin)


def implements(plugin: object, hook: str) -> bool:
    """Whether a built component has an implementation of a hook."""
    method = getattr(plugin, hook, None)
    return method is not None and hasattr(method, "prunebench_impl")


def slots_of(component: Component) -> tuple[str, ...]:
    """The places of a benchmark file where a component may be named."""
    made: object = component.build
    if not inspect.isclass(made):
        # A function says nothing of what it builds; a configuration without required keys can be tried.
        try:
            made = component.build(component.config())
        except ValueError:
            return ()
    return tuple(slot for slot, hook in hookspecs.SLOTS.items() if implements(made, hook))


def accepts(plugin: object, hook: str, argument: str) -> bool:
    """Whether a built component's implementation of a hook asks for an argument."""
    return argument in _parameters(_function(getattr(plugin, hook)))


def _function(method: Any) -> Any:
    return getattr(method, "__func__", method)


@cache
def _parameters(function: Any) -> frozenset[str]:
    return frozenset(inspect.signature(function).parameters)


def _whole(answer: object) -> object:
    """An answer that a generator gives, as a list: what it raises or never ends with is its component's."""
    if not isinstance(answer, Iterator):
        return answer
    found = list(islice(answer, MOST_ANSWERS + 1))
    if len(found) > MOST_ANSWERS:
        raise ValueError(f"it yields more than {MOST_ANSWERS:,} values")
    return found


def several(use: BoundComponent, hook: str, answer: object, kind: type[T]) -> list[T]:
    """The values of one kind that a planning hook answered with: one, or a list of them; empty for None.

    Raises: PlanError, naming the component, for anything else.
    """
    if answer is None:
        return []
    values = [answer] if isinstance(answer, kind) else answer
    if not isinstance(values, list | tuple):
        raise PlanError(f"component {use}: {hook} gave {type(values).__name__}, not {kind.__name__}")
    found = [value for value in values if isinstance(value, kind)]
    if len(found) < len(values):
        other = next(value for value in values if not isinstance(value, kind))
        raise PlanError(f"component {use}: {hook} gave {type(other).__name__} among others, not {kind.__name__}")
    return found


def call_planning_hook(use: BoundComponent, hook: str, **arguments: Any) -> Any:
    """Ask a component while planning, with the arguments that its implementation wants; None if it has none.

    Raises:
        PlanError: the hook failed, left the program or did not return; names the component and its distribution.
    """
    try:
        plugin = use.planner
        if not implements(plugin, hook):
            return None
        method = getattr(plugin, hook)
        wanted = _parameters(_function(method))
        taken = {name: value for name, value in arguments.items() if name in wanted}
        with diverted() if use.provider.foreign else nullcontext():
            return limited(lambda: _whole(method(**taken)))
    except BaseException as error:
        if not is_strangers(error):
            raise
        raise PlanError(str(failure(str(use), hook, error))) from error
