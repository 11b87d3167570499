"""`prunebench plan`: what a file would train."""

from __future__ import annotations

import json
from typing import Any

import click

from prunebench.commands.command import Command
from prunebench.commands.options import execution_options, file_options, options_of
from prunebench.commands.output import console_for


@click.command(cls=Command)
@file_options
@execution_options
@click.option(
    "--calibrate/--no-calibrate",
    default=True,
    help="Try kinds of training that no run has done here for a few steps, 5 s in all.  [default: calibrate]",
)
@click.option("--json", "as_json", is_flag=True, help="Numbers as JSON on standard output.")
def plan(calibrate: bool, as_json: bool, **given: Any) -> None:
    """Show what FILE would train, what is shared, what is already there, and about how long the rest will take."""
    from prunebench.runner.estimate import DAY, estimate, shorter_profiles
    from prunebench.runner.preparing import prepare
    from prunebench.runner.work_left import status

    prepared = prepare(options_of(given))
    store = prepared.open_store()
    numbers, time = status(prepared, store), estimate(prepared, store, calibrate=calibrate)
    if as_json:
        click.echo(json.dumps({**numbers.to_json(), "time": time.to_json()}))
        return
    from prunebench.commands.terminal.estimates import long_plan, time_text
    from prunebench.commands.terminal.tables import plan_table
    from prunebench.runner.landing import landings

    console = console_for()
    report = prepared.benchmark.report
    landed = list(landings(prepared.plan, report.axis, report.at, store))
    console.print(plan_table(prepared, numbers, time, landed))
    console.print(time_text(time), markup=False, highlight=False)
    if time.seconds is not None and time.seconds > DAY:
        shorter = shorter_profiles(prepared, store, time.seconds)
        console.print(long_plan(time.seconds, shorter), markup=False, highlight=False)
