"""`prunebench compare`: two leaderboards beside each other."""

from __future__ import annotations

import json

import click

from prunebench.commands.command import Command


@click.command(cls=Command)
@click.argument("first")
@click.argument("second")
@click.option("--metric", metavar="SPLIT/METRIC", help="Compare another metric than FIRST ranks by.")
@click.option("--json", "as_json", is_flag=True, help="The comparison as JSON on standard output.")
def compare(first: str, second: str, metric: str | None, as_json: bool) -> None:
    """Compare two leaderboards: paired differences, and what differs in how they were made.

    FIRST and SECOND are folders of leaderboards, or addresses of http or https at which such folders are shown.
    Differences are SECOND minus FIRST.
    """
    from prunebench.api.untrusted_text import printable
    from prunebench.leaderboard.two_boards import compared
    from prunebench.results.remote import results_at

    comparison = compared(results_at(first), results_at(second), metric)
    if as_json:
        click.echo(json.dumps(comparison.to_json()))
    else:
        click.echo("\n".join(printable(line) for line in str(comparison).split("\n")))
