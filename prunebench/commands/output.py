"""Where commands print: errors, and consoles for tables and progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console

    from prunebench.api.results import Results


def show_error(message: str) -> None:
    """An error on standard error, marked as such; of what does not print only the lines' ends reach a terminal."""
    click.echo(click.style("error: ", fg="red", bold=True) + "".join(map(_printable, message)), err=True)


def _printable(char: str) -> str:
    return char if char.isprintable() or char == "\n" else char.encode("unicode_escape").decode()


def reports_left_out(results: Results) -> None:
    """Say which reports a leaderboard names that were not asked to act."""
    names = [str(use.get("use")) for use in results.provenance.also]
    if names:
        listed = ", ".join("".join(char if char.isprintable() else " " for char in name[:80]) for name in names[:12])
        click.echo(f"Not run: {listed}. --also lets these reports write and publish.", err=True)


def console_for(stderr: bool = False) -> Console:
    """A console that adds no colours of its own to numbers and paths."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)
