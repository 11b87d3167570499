"""`prunebench merge`: lay leaderboards together."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder of the merged leaderboard.")
def merge(folders: tuple[Path, ...], out: Path) -> None:
    """Lay leaderboards of the same benchmark together: other seeds, entries or machines."""
    from prunebench.results.folder import read_results
    from prunebench.results.merge import merged
    from prunebench.runner.publishing import write_results

    write_results(out, merged([read_results(folder) for folder in folders]))
    click.echo(f"Leaderboard: {out / 'README.md'}")
