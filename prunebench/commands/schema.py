"""`prunebench schema`: the JSON Schema of benchmark files, and of a leaderboard's files."""

from __future__ import annotations

import json

import click


@click.command()
@click.option("--results", is_flag=True, help="Of results.jsonl, details.jsonl and provenance.json, by name.")
def schema(results: bool) -> None:
    """Print the JSON Schema of benchmark files, for editors; it knows every installed component."""
    if results:
        from prunebench.commands.results_reference import json_schemas

        click.echo(json.dumps(json_schemas(), indent=2))
        return
    from prunebench.benchmark.json_schema import json_schema
    from prunebench.components.catalogue import Catalogue

    click.echo(json.dumps(json_schema(Catalogue.load()), indent=2))
