"""`prunebench submit`: pack a leaderboard for a maintainer."""

from __future__ import annotations

from pathlib import Path

import click

from prunebench.commands.options import FOLDER


@click.command()
@click.argument("folder", type=FOLDER)
@click.option("--to", type=FOLDER, default=Path("."), help="Where the archive goes.")
@click.option("--file", type=FOLDER, help="The benchmark file, if it is not where it was.")
def submit(folder: Path, to: Path, file: Path | None) -> None:
    """Pack a leaderboard FOLDER so that a maintainer can verify it; leaderboards/README.md has the rules."""
    from prunebench.verification.submission import submit as pack

    click.echo(f"Packed: {pack(folder, to, file)}")
