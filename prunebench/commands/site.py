"""`prunebench site`: a static site over leaderboards."""

from __future__ import annotations

import json
from pathlib import Path

import click

from prunebench.commands.command import Command
from prunebench.commands.counted_nouns import counted
from prunebench.commands.options import json_option


@click.command(cls=Command)
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--to", required=True, type=click.Path(path_type=Path), help="The site's folder; an older site is replaced."
)
@click.option(
    "--files",
    type=click.Path(path_type=Path),
    help="Where the paths of benchmark files start.  [default: the folder that FOLDER lies in]",
)
@json_option
def site(folder: Path, to: Path, files: Path | None, as_json: bool) -> None:
    """Write a static site over all leaderboards in FOLDER: overview, boards, methods, published claims.

    Where FOLDER has a claims.toml, each of its claims is shown with what decides it, what the boards say, and what it
    would take. It opens from disk, and may be put on any web server as it is.
    """
    from prunebench.runner.site import make_site

    boards = make_site(folder, to, files)
    size = sum(path.stat().st_size for path in to.rglob("*") if path.is_file())
    if as_json:
        click.echo(json.dumps({"to": str(to), "leaderboards": len(boards), "bytes": size}))
        return
    click.echo(f"Site: {to / 'index.html'}, {counted(len(boards), 'leaderboard')}, {size / 2**20:.1f} MiB")
