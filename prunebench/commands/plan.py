"""`prunebench plan`: what a file would train."""

from __future__ import annotations

import json
from typing import Any

import click

from prunebench.commands.options import execution_options, file_options, options_of
from prunebench.commands.output import console_for


@click.command()
@file_options
@execution_options
@click.option("--json", "as_json", is_flag=True, help="Numbers as JSON on standard output.")
def plan(as_json: bool, **given: Any) -> None:
    """Show what FILE would train, what is shared and what is already there."""
    from prunebench.runner.preparing import prepare
    from prunebench.runner.work_left import status

    prepared = prepare(options_of(given))
    numbers = status(prepared, prepared.open_store())
    if as_json:
        click.echo(json.dumps(numbers.to_json()))
        return
    from prunebench.commands.terminal.tables import plan_table

    console_for().print(plan_table(prepared, numbers))
