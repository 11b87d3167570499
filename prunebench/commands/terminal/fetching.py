"""Downloads as they are shown: a count of what has come and how fast, and a line for each file that is in place."""

from __future__ import annotations

from collections.abc import Sequence

import click
from rich.console import Console
from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn

from prunebench.api.downloads import Download
from prunebench.kernels.download import fetch, is_there


def fetch_shown(downloads: Sequence[Download], console: Console, *, err: bool = False) -> None:
    """Fetch what is not in place; a line for each file, on standard error with `err`.

    Raises:
        PrunebenchError: as `prunebench.kernels.download.fetch`.
    """
    columns = (TextColumn("{task.description}"), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        for download in downloads:
            if is_there(download):
                click.echo(f"there already: {download.path}", err=err)
                continue
            task = progress.add_task(download.path.name, total=None)
            fetch(download, lambda count, task=task: progress.advance(task, count))  # type: ignore[misc]
            progress.remove_task(task)
            click.echo(f"fetched: {download.path}", err=err)
