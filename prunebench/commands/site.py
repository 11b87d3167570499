"""`prunebench site`: a static site over leaderboards."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option(
    "--to", required=True, type=click.Path(path_type=Path), help="The site's folder; an older site is replaced."
)
@click.option(
    "--files",
    type=click.Path(path_type=Path),
    help="Where the paths of benchmark files start.  [default: the folder that FOLDER lies in]",
)
def site(folder: Path, to: Path, files: Path | None) -> None:
    """Write a static site over all leaderboards in FOLDER: overview, boards, methods, published claims.

    Where FOLDER has a claims.toml, each of its claims is shown with what decides it, what the boards say, and what it
    would take. It opens from disk, and may be put on any web server as it is.
    """
    from prunebench.runner.site import make_site

    boards = make_site(folder, to, files)
    size = sum(path.stat().st_size for path in to.rglob("*") if path.is_file()) / 2**20
    click.echo(f"Site: {to / 'index.html'}, {len(boards)} leaderboards, {size:.1f} MiB")
