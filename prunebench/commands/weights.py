"""`prunebench weights`: weights that were published with networks."""

from __future__ import annotations

import json

import click

from prunebench.commands.command import Command, Group
from prunebench.commands.options import json_option
from prunebench.commands.output import console_for


@click.group(cls=Group)
def weights() -> None:
    """Weights that were published with networks: below the data root, where files find them."""


@weights.command("fetch", cls=Command)
@click.argument("name")
@click.option("--revision", metavar="REV", help="A commit or tag of the hub, in place of the newest.")
@json_option
def weights_fetch(name: str, revision: str | None, as_json: bool) -> None:
    """Download the weights of NAME, such as resnet50.a1_in1k, by timm's own download."""
    from prunebench.commands.terminal.weights import weights_shown
    from prunebench.runner.published_weights import published_weights

    found = weights_shown(published_weights(name, revision), console_for(stderr=True), err=as_json)
    if as_json:
        about = {"file": str(found.file), "origin": found.origin, "sha256": found.digest, "fetched": found.fresh}
        click.echo(json.dumps({"name": name, **about}))
