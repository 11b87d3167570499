"""`prunebench init`: a benchmark file to start from."""

from __future__ import annotations

import json
from pathlib import Path

import click

from prunebench.commands.command import Command
from prunebench.commands.counted_nouns import counted
from prunebench.commands.options import json_option
from prunebench.commands.output import show_error


@click.command(cls=Command)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--model", default="lenet_300_100", show_default=True, help="A network of timm's registry.")
@click.option("--data", default="mnist5k", show_default=True, help="A data set; `prunebench data list` has them.")
@click.option("--units", type=click.Choice(["weights", "channels"]), default="weights", show_default=True)
@click.option("--force", is_flag=True, help="Write over a FILE that is there.")
@json_option
def init(file: Path, model: str, data: str, units: str, force: bool, as_json: bool) -> None:
    """Write a commented benchmark FILE for a model and a data set, and the schema for editors beside it."""
    from prunebench.api.errors import ConfigError, PrunebenchError
    from prunebench.benchmark.json_schema import json_schema
    from prunebench.benchmark.template import SCHEMA_FILE, benchmark_file
    from prunebench.components.catalogue import Catalogue
    from prunebench.kernels.whole_files import write_whole
    from prunebench.runner.preparing import Options, prepare

    if file.suffix != ".toml":
        raise ConfigError([f'{file}: a benchmark file ends in ".toml"'])
    catalogue = Catalogue.load()
    schema = file.parent / SCHEMA_FILE
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("w" if force else "x", encoding="utf-8") as out:
            out.write(benchmark_file(model, data, units))
        if not schema.exists():
            write_whole(schema, (json.dumps(json_schema(catalogue), indent=1, ensure_ascii=False) + "\n").encode())
    except FileExistsError:
        raise ConfigError([f"{file}: there is a file of that name; --force writes over it"]) from None
    except OSError as error:
        raise PrunebenchError(f"{file}: cannot be written ({error.strerror})") from None
    click.echo(f"Written: {file}, and for editors {schema}", err=as_json)
    try:
        plan = prepare(Options(file), catalogue).plan
    except ConfigError as error:
        for line in error.errors:
            show_error(line)
        click.echo(f"{file} does not run yet: mend what is above, then `prunebench check {file}`.", err=True)
        click.get_current_context().exit(2)
    if as_json:
        click.echo(json.dumps({"file": str(file), "schema": str(schema), "training_runs": len(plan.runs)}))
        return
    click.echo(
        f"It is {counted(len(plan.runs), 'training run')}. Next: `prunebench run {file} --profile smoke`, then without "
        "it."
    )
