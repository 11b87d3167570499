"""`prunebench report`: write a leaderboard's pages again."""

from __future__ import annotations

from pathlib import Path

import click

from prunebench.commands.options import FOLDER
from prunebench.commands.output import console_for, reports_left_out, show_error


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--metric", metavar="SPLIT/METRIC", help="Rank by another metric.")
@click.option("--against", metavar="ENTRY", help="Compare with another entry.")
@click.option("--expect", is_flag=True, help="Exit with 1 if a published result is contradicted.")
@click.option("--also", is_flag=True, help="Let the reports that FOLDER names write and publish too.")
def report(folder: Path, metric: str | None, against: str | None, expect: bool, also: bool) -> None:
    """Write the tables, curves and page of a leaderboard FOLDER again from its results."""
    from prunebench.runner.publishing import report_again

    complaints: list[str] = []
    results = report_again(folder, metric, against, also=also, complain=complaints.append)
    click.echo(f"Leaderboard: {folder / 'README.md'}")
    if not also:
        reports_left_out(results)
    for complaint in complaints:
        show_error(complaint)
    if not expect:
        click.get_current_context().exit(1 if complaints else 0)
    from prunebench.commands.terminal.tables import verdicts_table
    from prunebench.leaderboard import verdicts

    judgements = verdicts(results)
    console_for().print(verdicts_table(judgements))
    click.get_current_context().exit(
        1 if complaints or any(judgement.verdict == "contradicted" for judgement in judgements) else 0
    )
