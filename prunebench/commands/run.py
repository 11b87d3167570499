"""`prunebench run`: train what is missing and write the leaderboard."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prunebench.commands.command import Command, Verbosity, verbosity
from prunebench.commands.counted_nouns import counted
from prunebench.commands.options import FOLDER, execution_options, file_options, options_of
from prunebench.commands.output import console_for, note, show_error

if TYPE_CHECKING:
    from rich.console import Console

    from prunebench.runner.preparing import Options, Prepared


@click.command(cls=Command)
@file_options
@execution_options
@click.option("--out", type=FOLDER, help="The leaderboard's folder.  [default: leaderboards/NAME]")
@click.option("--overwrite", is_flag=True, help="Replace what is in the folder, whatever it is.")
@click.option(
    "--wandb", type=click.Choice(["online", "offline", "off"]), help="Publish to Weights & Biases, whatever FILE says."
)
@click.option("--fetch", is_flag=True, help="Download the data and weights that FILE needs and lacks, then go on.")
@click.option("--json", "as_json", is_flag=True, help="A summary as JSON on standard output.")
@click.option("--traceback", is_flag=True, help="Show where in the code a trial failed.")
def run(
    out: Path | None, overwrite: bool, wandb: str | None, fetch: bool, as_json: bool, traceback: bool, **given: Any
) -> None:
    """Train what is missing, score every entry of FILE and write its leaderboard."""
    from dataclasses import replace

    from prunebench import runner
    from prunebench.api.untrusted_text import printable
    from prunebench.commands.terminal.estimates import long_plan
    from prunebench.commands.terminal.heartbeat import telling
    from prunebench.commands.terminal.progress import display
    from prunebench.leaderboard.terminal import terminal_tables

    options = options_of(given)
    if wandb is not None:
        options = replace(options, also=({"use": "wandb", "mode": wandb},))
    console = console_for(stderr=True)
    if fetch:
        _fetch(options, console)
    with telling(console, f"reading {options.file} and planning"):
        prepared = _prepared(options, fetch)
        numbers = runner.status(prepared, prepared.open_store(), to_run=True)
    benchmark = prepared.benchmark
    suffix = f"-{benchmark.profile}" if benchmark.profile else ""
    folder = out if out is not None else Path("leaderboards") / f"{benchmark.name}{suffix}"
    runner.check_out(folder, runner.judged_by(prepared.plan), overwrite)
    console.print(
        f"{benchmark.name}: {counted(numbers.trials, 'trial')}, {counted(numbers.runs_distinct, 'training run')} "
        f"(of {numbers.runs_naive:,} without sharing), {numbers.runs_cached:,} already in the store",
        soft_wrap=not console.is_terminal,
    )
    if numbers.phases_missing:
        time = runner.estimate(prepared, prepared.open_store(), calibrate=False)
        if time.seconds is not None and time.seconds > runner.DAY:
            shorter = runner.shorter_profiles(prepared, prepared.open_store(), time.seconds)
            console.print(long_plan(time.seconds, shorter), markup=False, highlight=False)
    shown = display(console, prepared.plan, numbers.work, every=verbosity() is Verbosity.VERBOSE)
    traces: list[str] = []
    complaints: list[str] = []

    def observe(event: Any) -> None:
        if event.kind == "row":  # some 10^4 of them, and no progress
            return
        if event.kind == "phase-failed" and event.fields["traceback"]:
            traces.append(event.fields["traceback"])
        shown(event)

    try:
        outcome = runner.run(prepared, observe, before=numbers, folder=folder, complain=complaints.append)
        numbers = outcome.status
    finally:
        shown.close()
    with telling(console, "writing the leaderboard"):
        written = runner.write(prepared, outcome, folder, complaints.append)
    traceback = traceback or verbosity() is Verbosity.VERBOSE
    for trace in traces if traceback else ():
        console.print(trace, markup=False)
    if as_json:
        summary = {
            **numbers.to_json(),
            "out": str(folder),
            "failed": outcome.broken,
            "left_out": sorted(outcome.left_out),
            "rows": len(outcome.rows),
        }
        click.echo(json.dumps(summary))
    else:
        click.echo(terminal_tables(written.board, console_for().width))
        click.echo(f"Leaderboard: {folder / 'index.html'}, and as text {folder / 'README.md'}")
    for trial, error in outcome.failed.items():
        if trial in outcome.left_out:
            note(f"does not apply: {printable(trial)}: {printable(error)}")
        else:
            show_error(f"{trial}: {error}")
    for complaint in complaints:
        show_error(complaint)
    if outcome.broken:
        more = "" if traceback or not traces else " (--traceback shows where)"
        click.echo(f"{len(outcome.broken)} of {counted(numbers.trials, 'trial')} failed{more}.", err=True)
    if outcome.broken or complaints:
        click.get_current_context().exit(1)


def _fetch(options: Options, console: Console) -> None:
    """Download what is missing."""
    from prunebench import runner
    from prunebench.commands.terminal.fetching import fetch_shown
    from prunebench.commands.terminal.weights import weights_shown
    from prunebench.runner.published_weights import absent_weights

    for absent in runner.absent_data(options):
        note(f"{absent.label}: fetching the publisher's files")
        fetch_shown(absent.downloads, console, err=True)
    for published in absent_weights(options):
        weights_shown(published, console, err=True)


def _prepared(options: Options, fetched: bool) -> Prepared:
    """The file with its plan; where data is missing that was not asked for, the error says how to get it."""
    from prunebench import runner
    from prunebench.api.errors import ConfigError

    try:
        return runner.prepare(options, to_run=True)
    except ConfigError as error:
        reasons = () if fetched else tuple(absent.why for absent in runner.absent_data(options))
        how = f" Or `prunebench run {options.file} --fetch`, which downloads it and goes on."
        errors = (line + how if any(why in line for why in reasons) else line for line in error.errors)
        raise ConfigError(errors) from None
