"""`prunebench schema`: the JSON Schema of benchmark files."""

from __future__ import annotations

import json

import click


@click.command()
def schema() -> None:
    """Print the JSON Schema of benchmark files, for editors; it knows every installed component."""
    from prunebench.benchmark.json_schema import json_schema
    from prunebench.components.catalogue import Catalogue

    click.echo(json.dumps(json_schema(Catalogue.load()), indent=2))
