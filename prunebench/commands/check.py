"""`prunebench check`: find every error of a file before anything trains."""

from __future__ import annotations

import json
from typing import Any

import click

from prunebench.commands.command import Command
from prunebench.commands.counted_nouns import counted
from prunebench.commands.options import file_options, json_option, options_of
from prunebench.commands.output import note


@click.command(cls=Command)
@file_options
@json_option
def check(as_json: bool, **given: Any) -> None:
    """Find every error of FILE before anything trains."""
    from prunebench.api.errors import ConfigError
    from prunebench.commands.terminal.landing import remarks_on
    from prunebench.runner.first_values import refuse_not_finite
    from prunebench.runner.landing import landings
    from prunebench.runner.preparing import prepare

    try:
        prepared = prepare(options_of(given))
        refuse_not_finite(prepared)
    except ConfigError as error:
        if not as_json:
            raise
        click.echo(json.dumps({"ok": False, "file": str(given["file"]), "errors": list(error.errors)}))
        click.get_current_context().exit(2)
    plan, names = prepared.plan, [entry.name for entry in prepared.benchmark.entries]
    if as_json:
        covered = [
            {"model": trial.model, "units": trial.units_kind, "covers": str(it)} for trial, it in plan.coverages()
        ]
        left_out = [{"entry": out.entry, "model": out.model, "why": out.why} for out in plan.left_out]
        numbers = {"trials": len(plan.trials), "training_runs": len(plan.runs)}
        facts = {"ok": True, "file": prepared.benchmark.file, "entries": names, "seeds": list(prepared.benchmark.seeds)}
        click.echo(json.dumps({**facts, **numbers, "coverage": covered, "left_out": left_out}))
        return
    click.echo(
        f"{prepared.benchmark.file}: ok. {counted(len(names), 'entry')}, "
        f"{counted(len(prepared.benchmark.seeds), 'seed')}, {counted(len(plan.trials), 'trial')}, "
        f"{counted(len(plan.runs), 'training run')}."
    )
    for trial, coverage in plan.coverages():
        click.echo(f"{trial.model}, units {trial.units_kind}: {coverage}")
    report = prepared.benchmark.report
    for line in remarks_on(list(landings(plan, report.axis, report.at)), report.axis):
        note(line)
    for out in plan.left_out:
        note(f'entry "{out.entry}" does not apply to model {out.model}: {out.why}')
