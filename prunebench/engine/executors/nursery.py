"""Where worker processes come from: forked off a server that has imported what each of them needs.

The server is `multiprocessing`'s own; a process has one, for all its runs. It imports and does nothing else: it
computes nothing and asks CUDA nothing, so that what is forked off it may compute with threads and use a device.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from multiprocessing import forkserver, resource_tracker
from types import ModuleType
from typing import Any

PRELOAD = "prunebench.engine.executors.preload"
"""What the server imports before it forks."""


def nursery() -> Any:
    """The context of `multiprocessing` that processes are started in: new ones where a system's libraries do not bear
    a fork, as those of macOS.
    """
    if sys.platform != "linux":
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([PRELOAD])
    return context


def warm(context: Any = None) -> None:
    """Have the server begin with its imports, if there is one; returns at once. May be called again."""
    context = nursery() if context is None else context
    if context.get_start_method() == "forkserver":
        with _signals_held():
            forkserver.ensure_running()


def born(context: Any, main: Callable[..., None], arguments: tuple[Any, ...], *, script: bool) -> Any:
    """Start a process that runs `main`, and that ends when this one does. Waits until the server has imported all.

    Args:
        script: whether it imports the calling script again, as new processes do by themselves. A script that calls
            `prunebench.load(FILE).run()` without a guard would start itself in each of its workers.
    Raises:
        OSError: it cannot be started.
    """
    process = context.Process(target=main, args=arguments, daemon=True)
    warm(context)
    forked = context.get_start_method() == "forkserver"
    # What is forked off the server has its mask; and Ctrl-C may come while it is waited for.
    with nullcontext() if forked else _signals_held(), nullcontext() if script else _script_hidden():
        try:
            process.start()
        except EOFError as error:
            raise OSError("the server that starts workers has ended") from error
    return process


def done_aside(work: Callable[..., None], *arguments: Any) -> None:
    """Have a process that is forked off the server call a function of a module, and wait for its end.

    Whatever it imports stays with it: this process learns of what it did where that lies in files. Nothing happens
    where there is no server. Ctrl-C ends both.
    """
    context = nursery()
    if context.get_start_method() == "forkserver":
        surroundings = (dict(os.environ), os.getcwd())
        born(context, _aside, (surroundings, work, arguments), script=False).join()


def _aside(surroundings: tuple[dict[str, str], str], work: Callable[..., None], arguments: tuple[Any, ...]) -> None:
    variables, folder = surroundings  # the server has those that it was started with
    os.environ.clear()
    os.environ.update(variables)
    os.chdir(folder)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who waits is told too, and ends this one
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
    work(*arguments)


@contextmanager
def _script_hidden() -> Iterator[None]:
    script = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = script


@contextmanager
def _signals_held() -> Iterator[None]:
    """Within it, a process is started that holds back Ctrl-C and SIGTERM until it has learned to ignore them."""
    resource_tracker.ensure_running()  # where it is started, it lets both of them through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
