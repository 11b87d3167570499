"""`prunebench show`: one entry with everything resolved."""

from __future__ import annotations

import json
from typing import Any

import click

from prunebench.commands.command import Command
from prunebench.commands.options import file_options, options_of


@click.command(cls=Command)
@file_options
@click.argument("entry")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of TOML.")
def show(entry: str, as_json: bool, **given: Any) -> None:
    """Print one ENTRY of FILE with everything resolved: what extends, grids, profiles and defaults make of it."""
    from prunebench.api.errors import ConfigError, nearest
    from prunebench.benchmark import load as config
    from prunebench.benchmark.resolved_view import resolved
    from prunebench.components.catalogue import Catalogue

    options = options_of(given)
    benchmark = config.load(
        options.file,
        Catalogue.load(),
        profile=options.profile,
        seeds=options.seeds,
        settings=options.settings,
    )
    if entry not in benchmark.all_entries:
        raise ConfigError([f'{options.file}: no entry "{entry}".{nearest(entry, benchmark.all_entries)}'])
    table = resolved(benchmark, benchmark.all_entries[entry])
    if as_json:
        click.echo(json.dumps(table))
        return
    import tomli_w

    click.echo(tomli_w.dumps(table), nl=False)
