"""`prunebench schema`: the JSON Schema of benchmark files, and of a leaderboard's files."""

from __future__ import annotations

import json

import click

from prunebench.commands.command import Command


@click.command(cls=Command)
@click.option("--results", is_flag=True, help="Of results.jsonl, details.jsonl and provenance.json, by name.")
@click.option("--built-in", is_flag=True, help="Only with the components that prunebench itself brings.")
def schema(results: bool, built_in: bool) -> None:
    """Print the JSON Schema of benchmark files, for editors; it knows every installed component.

    An editor completes and checks a file whose first line names it: `#:schema ./prunebench.schema.json`.
    """
    if results:
        from prunebench.commands.results_reference import json_schemas

        click.echo(json.dumps(json_schemas(), indent=2))
        return
    from prunebench.benchmark.json_schema import json_schema
    from prunebench.components.catalogue import Catalogue

    catalogue = Catalogue.load()
    click.echo(json.dumps(json_schema(catalogue.built_in() if built_in else catalogue), indent=1, ensure_ascii=False))
