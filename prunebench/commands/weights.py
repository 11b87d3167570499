"""`prunebench weights`: weights that were published with networks."""

from __future__ import annotations

import click

from prunebench.commands.output import console_for


@click.group()
def weights() -> None:
    """Weights that were published with networks: below the data root, where files find them."""


@weights.command("fetch")
@click.argument("name")
@click.option("--revision", metavar="REV", help="A commit or tag of the hub, in place of the newest.")
def weights_fetch(name: str, revision: str | None) -> None:
    """Download the weights of NAME, such as resnet50.a1_in1k, by timm's own download."""
    from prunebench.commands.terminal.weights import weights_shown
    from prunebench.runner.published_weights import published_weights

    weights_shown(published_weights(name, revision), console_for(stderr=True))
