"""The options that commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from prunebench.benchmark.bounds import PROCESSES

if TYPE_CHECKING:
    from prunebench.runner.preparing import Options

_EXECUTION = ("workers", "device", "threads", "keep")

F = TypeVar("F", bound=Callable[..., Any])


def file_options(command: F) -> F:
    """The options of every command that takes a benchmark file."""
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


def execution_options(command: F) -> F:
    """How the work is carried out. None of it is part of a result, so none of it counts as a change of FILE."""
    for decorate in reversed(
        [
            click.option(
                "--workers",
                type=click.IntRange(0, PROCESSES),
                help="Processes that work; 0: this one.  [default: FILE's]",
            ),
            click.option("--device", metavar="NAME", help="Where to compute: auto, cpu, cuda, ...  [default: FILE's]"),
            click.option(
                "--threads",
                type=click.IntRange(1, PROCESSES),
                help="Threads of each worker; other numbers of them round otherwise.  [default: FILE's]",
            ),
            click.option(
                "--keep",
                type=click.Choice(["none", "small", "judged"]),
                help="Judged weights to keep for `export`: none, all, or all if they are small.  [default: FILE's]",
            ),
        ]
    ):
        command = decorate(command)
    return command


def options_of(given: Mapping[str, Any]) -> Options:
    """What `file_options` were given, as the runner takes it."""
    from prunebench.runner.preparing import Options

    seeds = given["seeds"]
    chosen = None
    if seeds is not None:
        try:
            chosen = tuple(int(seed) for seed in seeds.split(","))
        except ValueError:
            raise click.BadParameter(
                f"{seeds!r} is not a list of whole numbers like 0,1,2", param_hint="--seeds"
            ) from None
    execution = {name: given[name] for name in _EXECUTION if given.get(name) is not None}
    return Options(
        given["file"],
        given["profile"],
        chosen,
        given["only"],
        given["settings"],
        given["store"],
        given["reuse"],
        execution=execution,
    )
