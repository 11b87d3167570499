"""`prunebench report`: write a leaderboard's pages again."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from prunebench.commands.output import console_for


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--metric", metavar="SPLIT/METRIC", help="Rank by another metric.")
@click.option("--against", metavar="ENTRY", help="Compare with another entry.")
@click.option("--expect", is_flag=True, help="Exit with 1 if a published result is contradicted.")
def report(folder: Path, metric: str | None, against: str | None, expect: bool) -> None:
    """Write the tables, curves and page of a leaderboard FOLDER again from its results."""
    from prunebench.runner.publishing import report_again

    results = report_again(folder, metric, against)
    click.echo(f"Leaderboard: {folder / 'README.md'}")
    if not expect:
        return
    from prunebench.commands.terminal.tables import verdicts_table
    from prunebench.leaderboard import verdicts

    judgements = verdicts(results)
    console_for().print(verdicts_table(judgements))
    sys.exit(1 if any(judgement.verdict == "contradicted" for judgement in judgements) else 0)
