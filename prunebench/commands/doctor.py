"""`prunebench doctor`: what works on this machine."""

from __future__ import annotations

import json
from pathlib import Path

import click

from prunebench.commands.command import Command
from prunebench.commands.options import store_option
from prunebench.commands.output import console_for

_SIGNS = {"ok": "ok", "optional": "--", "missing": "!!"}


@click.command(cls=Command)
@store_option
@click.option("--json", "as_json", is_flag=True, help="What was found as JSON on standard output.")
def doctor(store: Path | str | None, as_json: bool) -> None:
    """Look at this machine: what works, what is missing, and how to mend it.

    Exits with 1 if something is missing that runs need. Optional things never count.
    """
    from rich.padding import Padding
    from rich.text import Text

    from prunebench.runner.doctor import examine

    console = console_for()
    found = []
    for finding in examine(store):
        found.append(finding)
        if as_json:
            continue
        console.print(Text(f"{_SIGNS[finding.state]}  {finding.subject}: {finding.text}"))
        if finding.mend:
            console.print(Padding(Text(f"-> {finding.mend}"), (0, 0, 0, 4)))
    failed = [finding for finding in found if finding.state == "missing"]
    if as_json:
        click.echo(json.dumps([finding.to_json() for finding in found]))
    else:
        amiss = f"{len(failed)} {'thing is' if len(failed) == 1 else 'things are'} amiss, marked !!"
        click.echo(amiss if failed else "All that runs need is there.")
    click.get_current_context().exit(1 if failed else 0)
