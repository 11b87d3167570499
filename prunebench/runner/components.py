"""Trackers and reporters: called with values of their own, and a fault costs nothing but their own output."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from copy import deepcopy
from errno import ELOOP
from pathlib import Path
from typing import Any, TypeAlias

import pluggy

from prunebench.api.component import BoundComponent
from prunebench.api.errors import PrunebenchError
from prunebench.api.events import Event
from prunebench.components.interrupts import is_ctrl_c
from prunebench.components.managers import run_manager
from prunebench.components.time_limit import limited, watched

Complain: TypeAlias = Callable[[str], None]

LOG = "log"

REPORT_SECONDS = 3_600.0
"""How long a report may take: some of them upload."""

_LONGEST = 2_000
"""Characters of an exception's text that are shown."""


def on_standard_error(complaint: str) -> None:
    """Where complaints go unless a caller takes them."""
    print(f"error: {complaint}", file=sys.stderr)


class Trackers:
    """The trackers of a run. One that fails is named once, and learns of nothing more.

    They write below `log` in the leaderboard's folder, which is kept out of version control, of the manifest and of
    submissions: what is logged may name folders of the machine.
    """

    def __init__(self, uses: Sequence[BoundComponent], folder: Path, complain: Complain) -> None:
        self._trackers = [(use, run_manager([use])) for use in uses]
        self._folder, self._complain = folder / LOG, complain
        if uses:
            try:
                make_ignored(self._folder)
            except OSError as error:
                raise PrunebenchError(f"{self._folder}: cannot be written: {error.strerror}") from error

    def __call__(self, event: Event) -> None:
        """Hand an event to each."""
        self._trackers = [
            (use, manager)
            for use, manager in self._trackers
            if call(use, manager, "prunebench_track", self._complain, event=deepcopy(event), folder=self._folder)
        ]


def make_ignored(folder: Path) -> None:
    """Make a folder that keeps itself out of version control. Raises OSError; a link in its place is one."""
    if folder.is_symlink():
        raise OSError(ELOOP, "it is a symbolic link")
    folder.mkdir(parents=True, exist_ok=True)
    with os.fdopen(os.open(folder / ".gitignore", os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW, 0o666), "w") as file:
        file.write("*\n")


def call(use: BoundComponent, manager: pluggy.PluginManager, hook: str, complain: Complain, **arguments: Any) -> bool:
    """Call a hook of one component; whether it returned. What it raises becomes a complaint that names it."""
    try:
        with watched(None if hook == "prunebench_track" else REPORT_SECONDS):
            limited(lambda: getattr(manager.hook, hook)(**arguments))
    except BaseException as error:  # SystemExit too: a plugin does not decide how a command ends
        if is_ctrl_c(error):
            raise
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
    except BaseException:  # an exception of a stranger may fail in any way, also by leaving the program
        text = "its text cannot be read"
    name = type(error).__name__
    shown = "".join(char if char.isprintable() else " " for char in text[:_LONGEST])
    more = "..." if len(text) > _LONGEST else ""
    return f"{name}: {' '.join(shown.split())}{more}" if text else name
