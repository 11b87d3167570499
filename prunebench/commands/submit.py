"""`prunebench submit`: pack a leaderboard for a maintainer."""

from __future__ import annotations

import json
from pathlib import Path

import click

from prunebench.commands.command import Command
from prunebench.commands.options import FOLDER, json_option


@click.command(cls=Command)
@click.argument("folder", type=FOLDER)
@click.option("--to", type=FOLDER, default=Path("."), help="Where the archive goes.")
@click.option("--file", type=FOLDER, help="The benchmark file, if it is not where it was.")
@json_option
def submit(folder: Path, to: Path, file: Path | None, as_json: bool) -> None:
    """Pack a leaderboard FOLDER so that a maintainer can verify it; leaderboards/README.md has the rules."""
    from prunebench.verification.submission import submit as pack

    archive = pack(folder, to, file)
    click.echo(json.dumps({"archive": str(archive)}) if as_json else f"Packed: {archive}")
