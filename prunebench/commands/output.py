"""Where commands print: errors, and consoles for tables and progress."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import click

from prunebench.commands.command import Verbosity, verbosity

if TYPE_CHECKING:
    from rich.console import Console

    from prunebench.api.results import Results


def show_error(message: str) -> None:
    """An error on standard error, marked as such; of what does not print only the lines' ends reach a terminal."""
    head = "error: " if os.environ.get("NO_COLOR") else click.style("error: ", fg="red", bold=True)
    click.echo(head + "".join(map(_printable, message)), err=True)


def _printable(char: str) -> str:
    return char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()


def reports_left_out(results: Results) -> None:
    """Say which reports a leaderboard names that were not asked to act."""
    names = [str(use.get("use")) for use in results.provenance.also]
    if names:
        listed = ", ".join("".join(char if char.isprintable() else " " for char in name[:80]) for name in names[:12])
        note(f"Not run: {listed}. --also lets these reports write and publish.")


def show_stop(stop: BaseException) -> None:
    """That a command was stopped, on standard error, and what becomes of its work."""
    from prunebench.api.errors import InterruptedRunError

    number = getattr(stop, "by", signal.SIGINT)
    by = "" if number == signal.SIGINT else f" by {signal.Signals(number).name}"
    if isinstance(stop, InterruptedRunError):
        done = f"{stop.done} of {stop.total} phases are done and stored"
        running = ", with what was running from its last checkpoint"
    else:
        done, running = "What was done is stored", ""
    click.echo(f"\nStopped{by}. {done}; the same command goes on from there{running}.", err=True)


def note(message: str) -> None:
    """What a person may want to know beside the result, on standard error; not with `-q`."""
    if verbosity() is not Verbosity.QUIET:
        click.echo(message, err=True)


def console_for(stderr: bool = False) -> Console:
    """A console that adds no colours of its own to numbers and paths; on standard error silent with `-q`."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, quiet=stderr and verbosity() is Verbosity.QUIET)
