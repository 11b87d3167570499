"""`prunebench merge`: lay leaderboards together."""

from __future__ import annotations

import json
from pathlib import Path

import click

from prunebench.commands.command import Command
from prunebench.commands.options import FOLDER, json_option
from prunebench.commands.output import reports_left_out, show_error


@click.command(cls=Command)
@click.argument("folders", nargs=-1, required=True, type=FOLDER)
@click.option("--out", required=True, type=FOLDER, help="The folder of the merged leaderboard.")
@click.option("--overwrite", is_flag=True, help="Replace what is in the folder, whatever it is.")
@click.option("--also", is_flag=True, help="Let the reports that the folders name write and publish too.")
@json_option
def merge(folders: tuple[Path, ...], out: Path, overwrite: bool, also: bool, as_json: bool) -> None:
    """Lay leaderboards of the same benchmark together: other seeds, entries or machines."""
    from prunebench.runner.publishing import merge_folders

    complaints: list[str] = []
    results = merge_folders(folders, out, overwrite=overwrite, also=also, complain=complaints.append)
    if as_json:
        click.echo(json.dumps({"out": str(out), "rows": len(results.rows), "complaints": complaints}))
    else:
        click.echo(f"Leaderboard: {out / 'README.md'}")
    if not also:
        reports_left_out(results)
    for complaint in complaints:
        show_error(complaint)
    click.get_current_context().exit(1 if complaints else 0)
