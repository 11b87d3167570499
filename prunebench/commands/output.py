"""Where commands print: errors, and consoles for tables and progress."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rich.console import Console


def show_error(message: str) -> None:
    """An error on standard error, marked as such."""
    click.echo(click.style("error: ", fg="red", bold=True) + message, err=True)


def console_for(stderr: bool = False) -> Console:
    """A console that adds no colours of its own to numbers and paths."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)
