"""Fetching published weights, as a person sees it."""

from __future__ import annotations

import click
from rich.console import Console

from prunebench.api.pretrained import Pretrained
from prunebench.runner.published_weights import FetchedWeights, fetch_weights


def weights_shown(published: Pretrained, console: Console, *, err: bool = False) -> FetchedWeights:
    """Fetch one network's weights and say where they are and what they are."""
    with console.status(f"fetching {published.name} ..."):
        found = fetch_weights(published)
    click.echo(f"{'fetched' if found.fresh else 'there already'}: {found.file}", err=err)
    click.echo(f"    from {found.origin or 'an unknown place'}, sha256 {found.digest}", err=err)
    seen = published.preprocessing
    click.echo(
        f"    {published.outputs:,} classes; images of {seen.size} pixels ({seen.interpolation}, brought to "
        f"{seen.resize} first), mean {list(seen.mean)}, std {list(seen.std)}",
        err=err,
    )
    return found
