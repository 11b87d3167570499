"""The command line. Each command is thin, and imports come late, so that it starts fast."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from rich.console import Console

    from prunebench.runner import Options

F = TypeVar("F", bound=Callable[..., Any])


class Commands(click.Group):
    """Turns prunebench's errors into messages and exit codes: 2 for bad input, 1 for a run that failed."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command."""
        from prunebench.errors import ConfigError, PrunebenchError, StoreError

        try:
            return super().invoke(ctx)
        except ConfigError as error:
            for line in error.errors:
                _error(line)
            count = len(error.errors)
            if count > 1:
                click.echo(f"{count} errors; nothing was run.", err=True)
            ctx.exit(2)
        except StoreError as error:
            _error(str(error))
            ctx.exit(1)
        except PrunebenchError as error:
            _error(str(error))
            ctx.exit(2)


def _error(message: str) -> None:
    click.echo(click.style("error: ", fg="red", bold=True) + message, err=True)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="prunebench", prog_name="prunebench")
def main() -> None:
    """Benchmark neural-network pruning: which method, trained how, is really better, and can you trust the number?"""


def _file_options(command: F) -> F:
    for decorate in reversed(
        [
            click.argument("file", type=click.Path(path_type=Path)),
            click.option("--profile", metavar="NAME", help="Lay [profile.NAME] over the file."),
            click.option("--seeds", metavar="N,N,...", help="Replace the file's seeds."),
            click.option("--only", multiple=True, metavar="ENTRY", help="Score this entry only; may be repeated."),
            click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a key, as in the file."),
            click.option("--store", type=click.Path(path_type=Path), help="Where artifacts are kept."),
            click.option(
                "--reuse",
                type=click.Choice(["same", "any"]),
                default="same",
                show_default=True,
                help="Reuse artifacts made in the same environment, or in any (bits may differ).",
            ),
        ]
    ):
        command = decorate(command)
    return command


def _options(
    file: Path,
    profile: str | None,
    seeds: str | None,
    only: tuple[str, ...],
    settings: tuple[str, ...],
    store: Path | None,
    reuse: Any,
) -> Options:
    from prunebench.runner import Options

    chosen = None
    if seeds is not None:
        try:
            chosen = tuple(int(seed) for seed in seeds.split(","))
        except ValueError:
            raise click.BadParameter(
                f"{seeds!r} is not a list of whole numbers like 0,1,2", param_hint="--seeds"
            ) from None
    return Options(file, profile, chosen, only, settings, store, reuse)


def _console(stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False)


@main.command()
@_file_options
def check(**given: Any) -> None:
    """Find every error of FILE before anything trains."""
    from prunebench.runner import prepare

    prepared = prepare(_options(**given))
    plan, names = prepared.plan, [entry.name for entry in prepared.benchmark.entries]
    click.echo(
        f"{prepared.benchmark.file}: ok. {len(names)} entries, {len(prepared.benchmark.seeds)} seeds, "
        f"{len(plan.trials)} trials, {len(plan.runs)} training runs."
    )
    for out in plan.left_out:
        click.echo(f'entry "{out.entry}" cannot take part with model {out.model}: {out.why}', err=True)


@main.command()
@_file_options
@click.option("--json", "as_json", is_flag=True, help="Numbers as JSON on standard output.")
def plan(as_json: bool, **given: Any) -> None:
    """Show what FILE would train, what is shared and what is already there."""
    from prunebench.runner import prepare, status

    prepared = prepare(_options(**given))
    numbers = status(prepared, prepared.open_store())
    if as_json:
        click.echo(json.dumps(numbers.to_json()))
        return
    from prunebench.terminal.tables import plan_table

    _console().print(plan_table(prepared, numbers))


@main.command()
@_file_options
@click.option("--entry", required=True, metavar="NAME", help="The entry whose network is wanted.")
@click.option("--seed", type=int, help="Its seed.  [default: the file's first]")
@click.option("--round", type=int, help="Its round.  [default: the last that is judged]")
@click.option("--density", metavar="D", help="Its density, as printed, instead of its round.")
@click.option("--draw", type=int, default=0, show_default=True, help="Its draw.")
@click.option("--model", metavar="LABEL", help="Which model, if the file has several.")
@click.option("--data", metavar="LABEL", help="Which data set, if the file has several.")
@click.option("--untrained", is_flag=True, help="The ticket as it starts, not as it is judged.")
@click.option("--onnx", is_flag=True, help="Write model.onnx too (needs the extra `onnx`).")
@click.option("--to", type=click.Path(path_type=Path), required=True, help="The folder to write.")
def export(to: Path, onnx: bool, untrained: bool, **given: Any) -> None:
    """Write a ticket or trained network of FILE: safetensors, a JSON sidecar that rebuilds it, and ONNX."""
    from prunebench import runner
    from prunebench.export import Choice, chosen
    from prunebench.export import export as write_out
    from prunebench.terminal.progress import display

    names = ("entry", "seed", "round", "density", "draw", "model", "data")
    choice = Choice(**{name: given.pop(name) for name in names}, trained=not untrained)
    prepared = runner.prepare(_options(**given))
    chosen(prepared.plan, choice)
    console = _console(stderr=True)
    shown = display(console, prepared.plan, 0)
    try:
        done = write_out(prepared, choice, to, onnx=onnx, observe=shown)
    finally:
        shown.close()
    size, history = done.sidecar["size"], done.sidecar["history"]
    click.echo(
        f"{to}: {choice.entry}, seed {history['seed']}, round {history['round']}, density {history['density']:.4f}; "
        f"{size['parameters']:,} parameters, {size['bytes']:,} bytes (dense {size['dense_bytes']:,}, storing only what "
        f"is kept {size['sparse_bytes']:,})"
    )
    for name, far in done.differences.items():
        click.echo(f"{to / name}: outputs equal the original's (largest relative difference {far:.1g})")


@main.command()
@_file_options
@click.option("--out", type=click.Path(path_type=Path), help="The leaderboard's folder.  [default: leaderboards/NAME]")
@click.option(
    "--wandb", type=click.Choice(["online", "offline", "off"]), help="Publish to Weights & Biases, whatever FILE says."
)
@click.option("--json", "as_json", is_flag=True, help="A summary as JSON on standard output.")
@click.option("--traceback", is_flag=True, help="Show where in the code a trial failed.")
def run(out: Path | None, wandb: str | None, as_json: bool, traceback: bool, **given: Any) -> None:
    """Train what is missing, score every entry of FILE and write its leaderboard."""
    from dataclasses import replace

    from prunebench import runner
    from prunebench.engine.scheduler import InterruptedRunError
    from prunebench.terminal.progress import display
    from prunebench.terminal.tables import result_table

    options = _options(**given)
    if wandb is not None:
        options = replace(options, also=({"use": "wandb", "mode": wandb},))
    prepared = runner.prepare(options)
    benchmark = prepared.benchmark
    suffix = f"-{benchmark.profile}" if benchmark.profile else ""
    folder = out if out is not None else Path("leaderboards") / f"{benchmark.name}{suffix}"
    console = _console(stderr=True)
    numbers = runner.status(prepared, prepared.open_store())
    console.print(
        f"{benchmark.name}: {numbers.trials} trials, {numbers.runs_distinct} training runs "
        f"(of {numbers.runs_naive} without sharing), {numbers.runs_cached} already in the store"
    )
    shown = display(console, prepared.plan, numbers.sample_steps)
    traces: list[str] = []

    def observe(event: Any) -> None:
        if event.kind == "phase-failed" and event.fields["traceback"]:
            traces.append(event.fields["traceback"])
        shown(event)

    try:
        outcome = runner.run(prepared, observe, before=numbers)
    except (InterruptedRunError, KeyboardInterrupt) as stop:
        shown.close()
        done = (
            f"{stop.done} of {stop.total} phases are done"
            if isinstance(stop, InterruptedRunError)
            else "What is done is"
        )
        console.print(f"\nStopped. {done} and stored; the same command goes on from there.", soft_wrap=True)
        sys.exit(130)
    finally:
        shown.close()
    runner.write(prepared, outcome, folder)
    for trace in traces if traceback else ():
        console.print(trace, markup=False)
    if as_json:
        summary = {**numbers.to_json(), "out": str(folder), "failed": outcome.failed, "rows": len(outcome.rows)}
        click.echo(json.dumps(summary))
    else:
        _console().print(result_table(prepared, outcome))
        click.echo(f"Leaderboard: {folder / 'README.md'}")
    for trial, error in outcome.failed.items():
        _error(f"{trial}: {error}")
    if outcome.failed:
        more = "" if traceback or not traces else " (--traceback shows where)"
        click.echo(f"{len(outcome.failed)} of {numbers.trials} trials failed{more}.", err=True)
        sys.exit(1)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--metric", metavar="SPLIT/METRIC", help="Rank by another metric.")
@click.option("--against", metavar="ENTRY", help="Compare with another entry.")
@click.option("--expect", is_flag=True, help="Exit with 1 if a published result is contradicted.")
def report(folder: Path, metric: str | None, against: str | None, expect: bool) -> None:
    """Write the tables, curves and page of a leaderboard FOLDER again from its results."""
    from prunebench.runner import report_again

    results = report_again(folder, metric, against)
    click.echo(f"Leaderboard: {folder / 'README.md'}")
    if not expect:
        return
    from prunebench.leaderboard import verdicts
    from prunebench.terminal.tables import verdicts_table

    judgements = verdicts(results)
    _console().print(verdicts_table(judgements))
    sys.exit(1 if any(judgement.verdict == "contradicted" for judgement in judgements) else 0)


@main.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The folder of the merged leaderboard.")
def merge(folders: tuple[Path, ...], out: Path) -> None:
    """Lay leaderboards of the same benchmark together: other seeds, entries or machines."""
    from prunebench.merge import merged, read_results
    from prunebench.runner import write_results

    write_results(out, merged([read_results(folder) for folder in folders]))
    click.echo(f"Leaderboard: {out / 'README.md'}")


@main.command()
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
    from prunebench import verify as verification
    from prunebench.terminal.progress import display
    from prunebench.terminal.tables import claims_table, comparison_table

    console = _console(stderr=True)

    def show(prepared: Any, numbers: Any) -> Any:
        return display(console, prepared.plan, numbers.sample_steps)

    if fresh:
        from prunebench.fresh import verify_fresh

        claims = verify_fresh(folder, entries=entries, seeds=seeds, file=file, show=show)
        if as_json:
            click.echo(json.dumps([{**vars(claim), "verdict": claim.verdict} for claim in claims]))
        else:
            _console().print(claims_table(claims))
        sys.exit(1 if any(claim.verdict == "contradicted" for claim in claims) else 0)
    comparison = verification.verify(folder, entries=entries, seeds=seeds, file=file, show=show)
    if as_json:
        click.echo(json.dumps(comparison.to_json()))
    else:
        _console().print(comparison_table(comparison))
    if comparison.holds and record:
        verification.record(folder, comparison, entries, seeds)
        click.echo(f"Noted in {folder / 'verification.json'}")
    sys.exit(0 if comparison.holds else 1)


@main.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--to", type=click.Path(path_type=Path), default=Path("."), help="Where the archive goes.")
@click.option("--file", type=click.Path(path_type=Path), help="The benchmark file, if it is not where it was.")
def submit(folder: Path, to: Path, file: Path | None) -> None:
    """Pack a leaderboard FOLDER so that a maintainer can verify it; leaderboards/README.md has the rules."""
    from prunebench.submission import submit as pack

    click.echo(f"Packed: {pack(folder, to, file)}")


@main.command()
@_file_options
@click.argument("entry")
@click.option("--json", "as_json", is_flag=True, help="JSON instead of TOML.")
def show(entry: str, as_json: bool, **given: Any) -> None:
    """Print one ENTRY of FILE with everything resolved: what extends, grids, profiles and defaults make of it."""
    from prunebench import config
    from prunebench.catalogue import Catalogue
    from prunebench.errors import ConfigError, nearest
    from prunebench.resolved import resolved

    options = _options(**given)
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


@main.command()
def schema() -> None:
    """Print the JSON Schema of benchmark files, for editors; it knows every installed component."""
    from prunebench.catalogue import Catalogue
    from prunebench.schema import json_schema

    click.echo(json.dumps(json_schema(Catalogue.load()), indent=2))


@main.group()
def plugins() -> None:
    """What is installed: components with their versions and papers."""


@plugins.command("list")
def plugins_list() -> None:
    """List every component."""
    from prunebench.catalogue import Catalogue
    from prunebench.terminal.tables import plugins_table

    catalogue = Catalogue.load()
    _console().print(plugins_table(catalogue))
    for failed in catalogue.broken.values():
        _error(f"a plugin failed to load: {failed}")


@plugins.command("show")
@click.argument("name")
def plugins_show(name: str) -> None:
    """Describe one component: what it does, its configuration and the hooks that it answers."""
    from prunebench.catalogue import Catalogue
    from prunebench.terminal.tables import component_page

    _console().print(component_page(Catalogue.load().find(name)))


@main.group()
def data() -> None:
    """Data sets: what is there, and how to get what is not."""


@data.command("list")
def data_list() -> None:
    """List the data sets that components offer, and whether each is under the data root."""
    from prunebench.catalogue import Catalogue
    from prunebench.runner import data_root
    from prunebench.terminal.tables import data_table

    _console().print(data_table(Catalogue.load(), data_root()))
    click.echo(f"Data root: {data_root()}  (set PRUNEBENCH_DATA to change it)")


@data.command("fetch")
@click.argument("name")
def data_fetch(name: str) -> None:
    """Download a data set from its publisher, checksums checked."""
    from rich.progress import DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    from prunebench.download import fetch, is_there
    from prunebench.runner import downloads_of

    files = downloads_of(name)
    if not files:
        click.echo(f"{name}: nothing to download")
    columns = (TextColumn("{task.description}"), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=_console(stderr=True), transient=True) as progress:
        for download in files:
            if is_there(download):
                click.echo(f"there already: {download.path}")
                continue
            task = progress.add_task(download.path.name, total=None)
            fetch(download, lambda count, task=task: progress.advance(task, count))  # type: ignore[misc]
            progress.remove_task(task)
            click.echo(f"fetched: {download.path}")
