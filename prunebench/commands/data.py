"""`prunebench data`: data sets: what is there, and how to get the rest."""

from __future__ import annotations

import click

from prunebench.commands.output import console_for


@click.group()
def data() -> None:
    """Data sets: what is there, and how to get what is not."""


@data.command("list")
def data_list() -> None:
    """List the data sets that components offer, and whether each can be read as it lies under the data root."""
    from prunebench.commands.terminal.data_sets import data_list as listed
    from prunebench.components.catalogue import Catalogue
    from prunebench.runner.data_sets import data_set, names_of
    from prunebench.runner.preparing import data_root

    catalogue, root = Catalogue.load(), data_root()
    states = []
    with console_for(stderr=True).status("") as status:
        for name in names_of(catalogue):
            status.update(f"reading {name} ...")
            states.append(data_set(name, catalogue, root))
    console_for().print(listed(states))
    click.echo(f"Data root: {root}  (set PRUNEBENCH_DATA to change it)")


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
