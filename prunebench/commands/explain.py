"""`prunebench explain`: what a key of a benchmark file means."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from prunebench.commands.command import Command

if TYPE_CHECKING:
    from prunebench.benchmark.reference import Meaning


def _known(context: click.Context, parameter: click.Parameter, begun: str) -> list[CompletionItem]:
    """For the shell: keys of a file that begin so. Components would take a second to find."""
    from prunebench.benchmark.reference import Reference
    from prunebench.components.catalogue import Catalogue

    keys = Reference(Catalogue({})).keys.values()
    return [CompletionItem(one.name, help=one.meaning) for one in keys if one.name.startswith(begun)]


@click.command(cls=Command)
@click.argument("key", shell_complete=_known)
@click.option("--json", "as_json", is_flag=True, help="The same as JSON on standard output.")
def explain(key: str, as_json: bool) -> None:
    """Say what KEY means: a key of a benchmark file, a component, a field of the results, or an exit code.

    \b
    prunebench explain train.numerics      a key of the file
    prunebench explain entry.score         a place for components, and which fit
    prunebench explain magnitude           a component
    prunebench explain fine-tune.over      a component's key
    prunebench explain early_stop          nothing is called so: the nearest names
    prunebench explain 130                 an exit code
    """
    from prunebench.api.errors import ConfigError, nearest
    from prunebench.benchmark.reference import Reference
    from prunebench.components.catalogue import Catalogue

    reference = Reference(Catalogue.load(), tuple(_others()))
    found = reference.find(key)
    if not found:
        raise ConfigError([f'nothing is called "{key}".{nearest(key, reference.names)}'])
    if as_json:
        click.echo(json.dumps([one.to_json() for one in found]))
        return
    from prunebench.commands.output import console_for
    from prunebench.commands.terminal.meanings import meaning_page

    console = console_for()
    for number, one in enumerate(found):
        if number:
            console.print()
        console.print(meaning_page(one))


def _others() -> Iterator[Meaning]:
    """What is explained beside keys and components: executors, fields of results, exit codes."""
    from prunebench.benchmark.reference import Meaning, executor_keys
    from prunebench.commands.exit_codes import EXIT_CODES
    from prunebench.commands.results_reference import fields
    from prunebench.engine.executors.choice import tables

    for name, table in tables().items():
        yield from executor_keys(name, table)
    for file, type_name, name, about, type, default in fields():
        yield Meaning(f"{file}.{type_name}.{name}", "field of the results", about, type, default)
    for code, meaning in EXIT_CODES.items():
        yield Meaning(str(code), "exit code", meaning[:1].upper() + meaning[1:] + ".")
