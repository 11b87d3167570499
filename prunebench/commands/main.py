"""The command line: one module a command, imported when it is asked for, so that it starts fast."""

from __future__ import annotations

import signal
from importlib import import_module
from typing import Any

import click

from prunebench.commands.command import Group, traced
from prunebench.commands.output import show_error, show_stop

COMMANDS = (
    "check",
    "compare",
    "data",
    "doctor",
    "explain",
    "export",
    "init",
    "merge",
    "plan",
    "plugins",
    "report",
    "run",
    "schema",
    "show",
    "site",
    "store",
    "submit",
    "verify",
    "weights",
    "zoo",
)


class Commands(Group):
    """Turns prunebench's errors into messages and exit codes: 2 for bad input, 1 for a run that failed.

    A run that was stopped by a signal ends with 128 and its number, as a shell has it: 130 by Ctrl-C, 143 by SIGTERM.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Every command, by name."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """A command, its module imported when it is asked for."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"prunebench.commands.{cmd_name}"), cmd_name)
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        from prunebench.api.errors import ConfigError, InterruptedRunError, PrunebenchError, StoreError, WorkerError
        from prunebench.components.interrupts import told_apart
        from prunebench.components.leaving import LeftError, no_leaving

        try:
            with told_apart(), no_leaving(), traced():
                return super().invoke(ctx)
        except (InterruptedRunError, KeyboardInterrupt) as stop:
            show_stop(stop)
            ctx.exit(128 + getattr(stop, "by", signal.SIGINT))
        except (SystemExit, LeftError):
            # Commands end by `ctx.exit`: this came from a component, where nothing was to catch it.
            show_error("a component asked for the program to end before its work was done")
            ctx.exit(1)
        except ConfigError as error:
            for line in error.errors:
                show_error(line)
            count = len(error.errors)
            if count > 1:
                click.echo(f"{count} errors; nothing was run.", err=True)
            ctx.exit(2)
        except (StoreError, WorkerError) as error:
            show_error(str(error))
            ctx.exit(1)
        except PrunebenchError as error:
            show_error(str(error))
            ctx.exit(2)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="prunebench", prog_name="prunebench")
def main() -> None:
    """Benchmark neural-network pruning: which method, trained how, is really better, and can you trust the number?"""
