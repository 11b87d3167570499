"""`prunebench zoo`: judged networks with their masks, for others to load."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from prunebench.commands.command import Command, Group
from prunebench.commands.counted_nouns import counted
from prunebench.commands.options import file_options, json_option, options_of


@click.group(cls=Group)
def zoo() -> None:
    """Judged networks with their masks, as files that plain timm loads.

    PLACE is a folder, an object store (s3://, gs://, az://), or a repository of the hub (hf://OWNER/NAME).
    """


@zoo.command("push", cls=Command)
@file_options
@click.option("--density", "densities", multiple=True, metavar="D", help="Tickets of this density, as printed, alone.")
@click.option("--to", required=True, metavar="PLACE", help="Where they go.")
@json_option
def zoo_push(to: str, densities: tuple[str, ...], as_json: bool, **given: Any) -> None:
    """Write the judged tickets of FILE that the store has; nothing is trained."""
    from prunebench import runner
    from prunebench.runner.zoo.places import zoo_place
    from prunebench.runner.zoo.push import push, rounds_at

    prepared = runner.prepare(options_of(given))
    rounds = sorted(rounds_at(prepared, densities)) if densities else None
    done = push(prepared, zoo_place(to), to, rounds)
    if as_json:
        click.echo(json.dumps({"to": to, "tickets": [one.trial for one in done.tickets], "absent": list(done.absent)}))
    else:
        click.echo(f"{to}: {counted(len(done.tickets), 'ticket')}")
    if done.absent:
        more = f", and {len(done.absent) - 3:,} more" if len(done.absent) > 3 else ""
        click.echo(
            f"{len(done.absent):,} are not in the store ({'; '.join(done.absent[:3])}{more}). "
            f"`prunebench run {given['file']} --keep judged` makes them.",
            err=True,
        )
    if not done.tickets:
        raise click.exceptions.Exit(1)


@zoo.command("list", cls=Command)
@click.argument("place")
@json_option
def zoo_list(place: str, as_json: bool) -> None:
    """List the tickets of PLACE."""
    from prunebench.runner.zoo.pull import tickets_of

    _, tickets = tickets_of(place)
    if as_json:
        found = [{"ticket": one.trial, "metric": one.metric, "value": one.value} for one in tickets]
        click.echo(json.dumps({"place": place, "tickets": found}))
        return
    for ticket in tickets:
        value = "" if ticket.value is None else f"  {ticket.metric} {ticket.value:.4f}"
        click.echo(f"{ticket.trial}{value}")


@zoo.command("pull", cls=Command)
@click.argument("place")
@click.option("--entry", metavar="NAME", help="This entry alone.")
@click.option("--seed", type=int, help="This seed alone.")
@click.option("--density", metavar="D", help="This density alone, as printed.")
@click.option("--to", type=click.Path(path_type=Path, file_okay=False), required=True, help="The folder to write.")
@json_option
def zoo_pull(place: str, to: Path, entry: str | None, seed: int | None, density: str | None, as_json: bool) -> None:
    """Copy tickets of PLACE into a folder, every file held against its digest."""
    from prunebench.runner.zoo.pull import pull

    tickets = pull(place, to, entry=entry, seed=seed, density=density)
    if as_json:
        click.echo(json.dumps({"to": str(to), "tickets": [one.trial for one in tickets]}))
    else:
        click.echo(f"{to}: {counted(len(tickets), 'ticket')}")
