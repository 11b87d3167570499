"""`prunebench check`: find every error of a file before anything trains."""

from __future__ import annotations

from typing import Any

import click

from prunebench.commands.options import file_options, options_of


@click.command()
@file_options
def check(**given: Any) -> None:
    """Find every error of FILE before anything trains."""
    from prunebench.commands.terminal.landing import remarks_on
    from prunebench.runner.landing import landings
    from prunebench.runner.preparing import prepare

    prepared = prepare(options_of(given))
    plan, names = prepared.plan, [entry.name for entry in prepared.benchmark.entries]
    click.echo(
        f"{prepared.benchmark.file}: ok. {len(names)} entries, {len(prepared.benchmark.seeds)} seeds, "
        f"{len(plan.trials)} trials, {len(plan.runs)} training runs."
    )
    for trial, coverage in plan.coverages():
        click.echo(f"{trial.model}, units {trial.units_kind}: {coverage}")
    report = prepared.benchmark.report
    for line in remarks_on(list(landings(plan, report.axis, report.at)), report.axis):
        click.echo(line, err=True)
    for out in plan.left_out:
        click.echo(f'entry "{out.entry}" cannot take part with model {out.model}: {out.why}', err=True)
