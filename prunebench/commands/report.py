"""`prunebench report`: write a leaderboard's pages again."""

from __future__ import annotations

import json
from pathlib import Path

import click

from prunebench.commands.command import Command
from prunebench.commands.options import FOLDER, json_option
from prunebench.commands.output import console_for, reports_left_out, show_error


@click.command(cls=Command)
@click.argument("folder", type=FOLDER)
@click.option("--metric", metavar="SPLIT/METRIC", help="Rank by another metric.")
@click.option("--against", metavar="ENTRY", help="Compare with another entry.")
@click.option("--expect", is_flag=True, help="Exit with 1 if a published result is contradicted.")
@click.option("--also", is_flag=True, help="Let the reports that FOLDER names write and publish too.")
@json_option
def report(folder: Path, metric: str | None, against: str | None, expect: bool, also: bool, as_json: bool) -> None:
    """Write the tables, curves and page of a leaderboard FOLDER again from its results."""
    from prunebench.runner.publishing import report_again

    complaints: list[str] = []
    results = report_again(folder, metric, against, also=also, complain=complaints.append)
    if not also:
        reports_left_out(results)
    for complaint in complaints:
        show_error(complaint)
    from prunebench.leaderboard import verdicts

    judgements = verdicts(results) if expect or as_json else []
    if as_json:
        told = [
            {"source": one.expectation.source, "claim": one.expectation.claim, "verdict": one.verdict}
            for one in judgements
        ]
        click.echo(
            json.dumps({"out": str(folder), "rows": len(results.rows), "complaints": complaints, "expect": told})
        )
    else:
        click.echo(f"Leaderboard: {folder / 'README.md'}")
    if expect and not as_json:
        from prunebench.commands.terminal.tables import verdicts_table

        console_for().print(verdicts_table(judgements))
    contradicted = expect and any(judgement.verdict == "contradicted" for judgement in judgements)
    click.get_current_context().exit(1 if complaints or contradicted else 0)
