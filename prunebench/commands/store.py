"""`prunebench store`: what a store keeps, what may go, whether it is sound, and copies of it elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from prunebench.commands.command import Group
from prunebench.commands.counted_nouns import counted
from prunebench.commands.options import parse_seeds, store_option
from prunebench.commands.output import console_for, show_error

if TYPE_CHECKING:
    from prunebench.store.store import Store

json_option = click.option("--json", "as_json", is_flag=True, help="Numbers as JSON on standard output.")
files_argument = click.argument("files", nargs=-1, type=click.Path(path_type=Path), metavar="[FILE]...")
seeds_option = click.option("--seeds", metavar="N,N,...", help="Seeds that were run beside those of the files.")
whole_option = click.option(
    "--whole", is_flag=True, help="With FILE: also what its results were made from, such as weights."
)


@click.group(cls=Group)
def store() -> None:
    """Look after a store of trained results: what it keeps, what may go, whether it is sound, copies elsewhere."""


@store.command("info")
@files_argument
@store_option
@seeds_option
@json_option
def store_info(files: tuple[Path, ...], store: Path | str | None, seeds: str | None, as_json: bool) -> None:
    """Show what the store keeps, how large it is, and how much of it each FILE asks for.

    A file counts with all its profiles.
    """
    from prunebench.commands.terminal.stores import info_table
    from prunebench.runner import keeping

    opened = keeping.open_any(store)
    found = keeping.info(opened, keeping.needed_by(files, store, parse_seeds(seeds)))
    if as_json:
        click.echo(json.dumps(found.to_json()))
    else:
        console_for().print(info_table(found))


@store.command("gc")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FILE...")
@store_option
@seeds_option
@click.option("--yes", is_flag=True, help="Free it. Without this nothing changes.")
@json_option
def store_gc(files: tuple[Path, ...], store: Path | str | None, seeds: str | None, yes: bool, as_json: bool) -> None:
    """Free the payloads that none of these FILEs asks for, under any of their profiles.

    Name every file whose results are to stay quick to rebuild. Records stay, so that what is computed again is held
    against what was there. Without --yes it only says what it would free.
    """
    from prunebench.commands.terminal.stores import size
    from prunebench.runner import keeping

    opened = keeping.open_any(store)
    found = keeping.info(opened, keeping.needed_by(files, store, parse_seeds(seeds)))
    copies = keeping.unneeded(found.contents, [needed for needed, _ in found.files])
    amount = found.unneeded
    if yes:
        with progress("freeing", len({copy.address for copy in copies})) as advance:
            keeping.free(opened, copies, lambda address: advance())
    if as_json:
        kept = found.contents.payloads()
        left = {"count": kept.count - amount.count, "bytes": kept.size - amount.size}
        numbers = {"store": found.place, "freed": yes, "unneeded": amount.to_json(), "kept": left}
        click.echo(json.dumps(numbers))
        return
    verb = "Freed" if yes else "Would free"
    click.echo(f"{verb} {amount.count:,} payloads, {size(amount.size)}, of {found.place}.")
    for needed, there in found.files:
        click.echo(f"Kept for {needed.file}: {there.count:,} payloads, {size(there.size)}.")
    if not yes and amount.count:
        click.echo("Nothing was changed. The same command with --yes frees them; they can only be computed again.")


@store.command("verify")
@store_option
@json_option
def store_verify(store: Path | str | None, as_json: bool) -> None:
    """Read every artifact and check every hash. What is damaged is set aside and computed again by the next run."""
    from prunebench.runner import keeping
    from prunebench.store.contents import contents_of

    opened = keeping.open_any(store, near=False)
    total = sum(copy.recorded for copy in contents_of(opened.backend).copies)
    sound, damaged = 0, []
    with progress("checking", total) as advance:
        for address, is_sound in opened.scan():
            sound += is_sound
            if not is_sound:
                damaged.append(address)
            advance()
    if as_json:
        click.echo(json.dumps({"store": opened.backend.place, "sound": sound, "damaged": damaged}))
    else:
        click.echo(f"{opened.backend.place}: {counted(sound, 'sound artifact')}, {len(damaged):,} damaged.")
        for address in damaged:
            show_error(f"{address}: damaged or incomplete; the next run that needs it makes it again")
    if damaged:
        click.get_current_context().exit(1)


@store.command("push")
@click.argument("to", metavar="PLACE")
@files_argument
@store_option
@seeds_option
@whole_option
@json_option
def store_push(to: str, store: Path | str | None, **given: Any) -> None:
    """Copy results from the store to PLACE, a folder or s3:// ...: all of them, or what each FILE asks for."""
    from prunebench.runner import keeping
    from prunebench.store.places import place_of

    _copy(keeping.open_any(store, near=False), keeping.open_any(place_of(to)), store, **given)


@store.command("pull")
@click.argument("source", metavar="PLACE")
@files_argument
@store_option
@seeds_option
@whole_option
@json_option
def store_pull(source: str, store: Path | str | None, **given: Any) -> None:
    """Copy results from PLACE, a folder or s3:// ..., to the store: all of them, or what each FILE asks for."""
    from prunebench.runner import keeping
    from prunebench.store.places import place_of

    _copy(keeping.open_any(place_of(source), near=False), keeping.open_any(store), store, **given)


def _copy(
    source: Store,
    target: Store,
    place: Path | str | None,
    *,
    files: tuple[Path, ...],
    seeds: str | None,
    whole: bool,
    as_json: bool,
) -> None:
    from prunebench.commands.terminal.stores import size
    from prunebench.runner import keeping
    from prunebench.store.contents import contents_of
    from prunebench.store.transfer import transfer

    keeping.same_place(source, target)
    needed = keeping.needed_by(files, place, parse_seeds(seeds))
    copies = keeping.wanted(contents_of(source.backend), needed, whole=whole)
    with progress("copying", sum(copy.recorded and bool(copy.files) for copy in copies)) as advance:
        done = transfer(copies, source, target, lambda copied: advance())
    counts = {
        outcome: sum(one.outcome == outcome for one in done) for outcome in ("copied", "there", "damaged", "conflict")
    }
    bytes_ = sum(one.size for one in done)
    if as_json:
        click.echo(json.dumps({"from": source.backend.place, "to": target.backend.place, **counts, "bytes": bytes_}))
    else:
        click.echo(
            f"{source.backend.place} -> {target.backend.place}: copied {counted(counts['copied'], 'artifact')}, "
            f"{size(bytes_)}; {counts['there']:,} were there."
        )
    for one in done:
        if one.outcome == "damaged":
            show_error(f"{one.address[:12]}: not copied: {one.why}. `prunebench store verify` sets it aside")
        elif one.outcome == "conflict":
            show_error(f"{one.address[:12]}: not copied: {one.why}")
    if counts["damaged"] or counts["conflict"]:
        click.get_current_context().exit(1)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error where that is a terminal; what it gives counts one more."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    console = console_for(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
