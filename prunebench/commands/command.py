"""What all commands have in common: `-q` and `-v`, before or after a command's name, and exit codes in the help."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import IntEnum
from traceback import format_exc
from typing import Any

import click

from prunebench.commands.exit_codes import IN_HELP


class Verbosity(IntEnum):
    """How much goes to standard error. What was asked for goes to standard output, whatever it is."""

    QUIET = 0
    """Errors alone."""
    NORMAL = 1
    """Progress and notes too."""
    VERBOSE = 2
    """Also where in the code an error arose, and every training that ends."""


_KEY = f"{__name__}.verbosity"


def verbosity() -> Verbosity:
    """What the command that is running was asked for; NORMAL outside of commands."""
    context = click.get_current_context(silent=True)
    return Verbosity.NORMAL if context is None else context.meta.get(_KEY, Verbosity.NORMAL)


@contextmanager
def traced() -> Iterator[None]:
    """With `-v`, say on standard error where in the code an error arose."""
    try:
        yield
    except Exception:
        if verbosity() is Verbosity.VERBOSE:
            click.echo(format_exc(), err=True)
        raise


def _sets(level: Verbosity) -> Callable[[click.Context, click.Parameter, bool], None]:
    def callback(context: click.Context, parameter: click.Parameter, given: bool) -> None:
        if given:
            context.meta[_KEY] = level

    return callback


_OPTIONS = (
    click.Option(
        ["-q", "--quiet"],
        is_flag=True,
        expose_value=False,
        callback=_sets(Verbosity.QUIET),
        help="Nothing but errors on standard error.",
    ),
    click.Option(
        ["-v", "--verbose"],
        is_flag=True,
        expose_value=False,
        callback=_sets(Verbosity.VERBOSE),
        help="Also where in the code errors arose, and every training that ends.",
    ),
)


class Command(click.Command):
    """A command with the common options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **{"epilog": IN_HELP, **kwargs})

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """See click.Command."""
        return [*super().get_params(ctx), *_OPTIONS]


class Group(Command, click.Group):
    """A group of such commands."""

    command_class = Command
