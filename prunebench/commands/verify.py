"""`prunebench verify`: run recorded results again."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from prunebench.commands.output import console_for


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--entries", default="all", show_default=True, help="all, top3, or names with commas between.")
@click.option("--seeds", type=click.IntRange(min=1), help="How many seeds to run.  [default: all recorded]")
@click.option("--fresh", is_flag=True, help="Run new seeds, and test whether the differences still hold.")
@click.option("--file", type=click.Path(path_type=Path), help="The benchmark file, if it is not where it was.")
@click.option("--record", is_flag=True, help="If it holds, note on the leaderboard that it was executed again.")
@click.option("--json", "as_json", is_flag=True, help="The comparison as JSON on standard output.")
def verify(
    folder: Path, entries: str, seeds: int | None, fresh: bool, file: Path | None, record: bool, as_json: bool
) -> None:
    """Check the manifest of a leaderboard FOLDER, run its entries again in an empty store and compare every number."""
    from prunebench.commands.terminal.progress import display
    from prunebench.commands.terminal.tables import claims_table, comparison_table
    from prunebench.verification import rerun as verification

    console = console_for(stderr=True)

    def show(prepared: Any, numbers: Any) -> Any:
        return display(console, prepared.plan, numbers.sample_steps)

    if fresh:
        from prunebench.verification.fresh import verify_fresh

        claims = verify_fresh(folder, entries=entries, seeds=seeds, file=file, show=show)
        if as_json:
            click.echo(json.dumps([claim.to_json() for claim in claims]))
        else:
            console_for().print(claims_table(claims))
        sys.exit(1 if any(claim.verdict == "contradicted" for claim in claims) else 0)
    comparison = verification.verify(folder, entries=entries, seeds=seeds, file=file, show=show)
    if as_json:
        click.echo(json.dumps(comparison.to_json()))
    else:
        console_for().print(comparison_table(comparison))
    if comparison.holds and record:
        verification.record(folder, comparison, entries, seeds)
        click.echo(f"Noted in {folder / 'verification.json'}")
    sys.exit(0 if comparison.holds else 1)
