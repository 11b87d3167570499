"""`prunebench export`: a ticket or a trained network as files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from prunebench.commands.command import Command, Verbosity, verbosity
from prunebench.commands.options import FOLDER, execution_options, file_options, json_option, options_of
from prunebench.commands.output import console_for


@click.command(cls=Command)
@file_options
@execution_options
@click.option("--entry", required=True, metavar="NAME", help="The entry whose network is wanted.")
@click.option("--seed", type=int, help="Its seed.  [default: the file's first]")
@click.option("--round", type=int, help="Its round.  [default: the last that is judged]")
@click.option("--density", metavar="D", help="Its density, as printed, instead of its round.")
@click.option("--draw", type=int, default=0, show_default=True, help="Its draw.")
@click.option("--model", metavar="LABEL", help="Which model, if the file has several.")
@click.option("--data", metavar="LABEL", help="Which data set, if the file has several.")
@click.option("--untrained", is_flag=True, help="The ticket as it starts, not as it is judged.")
@click.option("--onnx", is_flag=True, help="Write model.onnx too (needs the extra `onnx`).")
@click.option("--to", type=FOLDER, required=True, help="The folder to write.")
@json_option
def export(to: Path, onnx: bool, untrained: bool, as_json: bool, **given: Any) -> None:
    """Write a ticket or trained network of FILE: safetensors, a JSON sidecar that rebuilds it, and ONNX."""
    from prunebench import runner
    from prunebench.commands.terminal.progress import display
    from prunebench.runner.export import Choice, chosen, work_of_export
    from prunebench.runner.export import export as write_out

    names = ("entry", "seed", "round", "density", "draw", "model", "data")
    choice = Choice(**{name: given.pop(name) for name in names}, trained=not untrained)
    prepared = runner.prepare(options_of(given))
    chosen(prepared.plan, choice)
    runner.check_writable(to)
    console, work = console_for(stderr=True), work_of_export(prepared, choice)
    shown = display(console, prepared.plan, work, every=verbosity() is Verbosity.VERBOSE)
    try:
        done = write_out(prepared, choice, to, onnx=onnx, observe=shown)
    finally:
        shown.close()
    if as_json:
        click.echo(json.dumps({**done.sidecar, "to": str(to), "differences": done.differences}))
        return
    size, history = done.sidecar["size"], done.sidecar["history"]
    click.echo(
        f"{to}: {choice.entry}, seed {history['seed']}, round {history['round']}, density {history['density']:.4f}; "
        f"{size['parameters']:,} parameters, {size['bytes']:,} bytes (dense {size['dense_bytes']:,}, storing only what "
        f"is kept {size['sparse_bytes']:,})"
    )
    for name, far in done.differences.items():
        click.echo(f"{to / name}: outputs equal the original's (largest relative difference {far:.1g})")
