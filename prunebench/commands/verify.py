"""`prunebench verify`: hold a leaderboard against its file, against itself and against a second run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from prunebench.commands.command import Command, Verbosity, verbosity
from prunebench.commands.options import FOLDER
from prunebench.commands.output import console_for, note


@click.command(cls=Command)
@click.argument("folder", type=FOLDER)
@click.option("--entries", default="all", show_default=True, help="all, top3, or names with commas between.")
@click.option("--seeds", type=click.IntRange(min=1), help="How many seeds to run.  [default: all recorded]")
@click.option("--sample", type=click.IntRange(min=1), help="Run so many pairs of entry and seed, drawn at random.")
@click.option("--cell", "cells", multiple=True, metavar="ENTRY:SEED", help="Run this pair; may be repeated.")
@click.option("--fresh", is_flag=True, help="Run new seeds, and test whether the differences still hold.")
@click.option("--file", type=FOLDER, help="The benchmark file, if it is not where it was.")
@click.option("--record", is_flag=True, help="If it holds, note beside the leaderboard that it was executed again.")
@click.option("--json", "as_json", is_flag=True, help="The comparison as JSON on standard output.")
def verify(
    folder: Path,
    entries: str,
    seeds: int | None,
    sample: int | None,
    cells: tuple[str, ...],
    fresh: bool,
    file: Path | None,
    record: bool,
    as_json: bool,
) -> None:
    """Check manifest, file and pages of a leaderboard FOLDER, run it again in an empty store, compare every number."""
    from prunebench.commands.terminal.progress import display
    from prunebench.commands.terminal.tables import claims_table, comparison_table
    from prunebench.verification import verify as verification

    ways = [entries != "all" or seeds is not None, sample is not None, bool(cells)]
    if sum(ways) > 1 or (fresh and any(ways[1:])):
        raise click.UsageError("give --entries and --seeds, or --sample, or --cell; --fresh takes the first alone")
    console = console_for(stderr=True)

    def show(prepared: Any, numbers: Any) -> Any:
        return display(console, prepared.plan, numbers.work, every=verbosity() is Verbosity.VERBOSE)

    if fresh:
        from prunebench.verification.fresh import verify_fresh

        claims = verify_fresh(folder, entries=entries, seeds=seeds, file=file, show=show)
        if as_json:
            click.echo(json.dumps([claim.to_json() for claim in claims]))
        else:
            console_for().print(claims_table(claims))
        click.get_current_context().exit(1 if any(claim.verdict == "contradicted" for claim in claims) else 0)
    comparison = verification.verify(
        folder, entries=entries, seeds=seeds, sample=sample, cells=list(map(_cell, cells)), file=file, show=show
    )
    if as_json:
        click.echo(json.dumps(comparison.to_json()))
    else:
        console_for().print(comparison_table(comparison))
    if comparison.holds and record:
        verification.record(folder, comparison)
        note(f"Noted in {folder / 'verification.json'}")
    click.get_current_context().exit(0 if comparison.holds else 1)


def _cell(text: str) -> tuple[str, int]:
    """An entry and a seed. The name may have colons itself."""
    entry, _, seed = text.rpartition(":")
    try:
        return entry, int(seed)
    except ValueError:
        raise click.BadParameter(f"{text!r} is not ENTRY:SEED", param_hint="--cell") from None
