"""The options that commands share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from prunebench.runner.preparing import Options

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
            click.option("--executor", metavar="NAME", help="What carries the work out, as in the file."),
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
    rest = (given[name] for name in ("only", "settings", "store", "reuse", "executor"))
    return Options(given["file"], given["profile"], chosen, *rest)
