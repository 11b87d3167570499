"""`prunebench data`: data sets: what is there, and how to get the rest."""

from __future__ import annotations

import json

import click

from prunebench.commands.command import Group
from prunebench.commands.options import json_option
from prunebench.commands.output import console_for


@click.group(cls=Group)
def data() -> None:
    """Data sets: what is there, and how to get what is not."""


@data.command("list")
@json_option
def data_list(as_json: bool) -> None:
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
    if as_json:
        sets = [{"name": one.name, "state": one.state, "about": one.text} for one in states]
        click.echo(json.dumps({"data_root": str(root), "data_sets": sets}))
        return
    console_for().print(listed(states))
    click.echo(f"Data root: {root}  (set PRUNEBENCH_DATA to change it)")


@data.command("fetch")
@click.argument("name")
@json_option
def data_fetch(name: str, as_json: bool) -> None:
    """Download a data set from its publisher, checksums checked."""
    from prunebench.commands.terminal.fetching import fetch_shown
    from prunebench.runner.downloads import downloads_of

    files = downloads_of(name)
    if not files:
        click.echo(f"{name}: nothing to download", err=as_json)
    fetch_shown(files, console_for(stderr=True), err=as_json)
    if as_json:
        click.echo(json.dumps({"name": name, "files": [str(file.path) for file in files]}))
