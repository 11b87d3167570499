"""Trackers and reporters: called with values of their own, and a fault costs nothing but their own output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any, TypeAlias

import pluggy

from prunebench.api.component import BoundComponent
from prunebench.api.events import Event
from prunebench.components.managers import run_manager

Complain: TypeAlias = Callable[[str], None]

_LONGEST = 2_000
"""Characters of an exception's text that are shown."""


def on_standard_error(complaint: str) -> None:
    """Where complaints go unless a caller takes them."""
    print(f"error: {complaint}", file=sys.stderr)


class Trackers:
    """The trackers of a run. One that fails is named once, and learns of nothing more."""

    def __init__(self, uses: Sequence[BoundComponent], folder: Path, complain: Complain) -> None:
        self._managers = {use: run_manager([use]) for use in uses}
        self._folder, self._complain = folder, complain

    def __call__(self, event: Event) -> None:
        """Hand an event to each."""
        for use, manager in list(self._managers.items()):
            own = deepcopy(event)
            if not call(use, manager, "prunebench_track", self._complain, event=own, folder=self._folder):
                del self._managers[use]


def call(use: BoundComponent, manager: pluggy.PluginManager, hook: str, complain: Complain, **arguments: Any) -> bool:
    """Call a hook of one component; whether it returned. What it raises becomes a complaint that names it."""
    try:
        getattr(manager.hook, hook)(**arguments)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # SystemExit too: a plugin does not decide how a command ends
        complain(f"{described(use)}: {text_of(error)}")
        return False
    return True


def described(use: BoundComponent) -> str:
    """A component with the distribution that it comes from, for a person."""
    return f'component "{use.name}" ({use.provider.distribution})'


def text_of(error: BaseException) -> str:
    """An exception as text: one line of a readable length, without control characters, whatever it is."""
    try:
        text = str(error)
    except Exception:
        text = "its text cannot be read"
    name = type(error).__name__
    shown = "".join(char if char.isprintable() else " " for char in text[:_LONGEST])
    more = "..." if len(text) > _LONGEST else ""
    return f"{name}: {' '.join(shown.split())}{more}" if text else name
