"""`prunebench data`: data sets: what is there, and how to get the rest."""

from __future__ import annotations

import click

from prunebench.commands.output import console_for


@click.group()
def data() -> None:
    """Data sets: what is there, and how to get what is not."""


@data.command("list")
def data_list() -> None:
    """List the data sets that components offer, and whether each is under the data root."""
    from prunebench.commands.terminal.tables import data_table
    from prunebench.components.catalogue import Catalogue
    from prunebench.runner.preparing import data_root

    console_for().print(data_table(Catalogue.load(), data_root()))
    click.echo(f"Data root: {data_root()}  (set PRUNEBENCH_DATA to change it)")


@data.command("fetch")
@click.argument("name")
def data_fetch(name: str) -> None:
    """Download a data set from its publisher, checksums checked."""
    from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from prunebench.kernels.download import fetch, is_there
    from prunebench.runner.downloads import downloads_of

    files = downloads_of(name)
    if not files:
        click.echo(f"{name}: nothing to download")
    columns = (TextColumn("{task.description}"), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console_for(stderr=True), transient=True) as progress:
        for download in files:
            if is_there(download):
                click.echo(f"there already: {download.path}")
                continue
            task = progress.add_task(download.path.name, total=None)
            fetch(download, lambda count, task=task: progress.advance(task, count))  # type: ignore[misc]
            progress.remove_task(task)
            click.echo(f"fetched: {download.path}")
