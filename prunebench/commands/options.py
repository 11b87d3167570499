"""The options that commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from prunebench.api.trust import TRUSTED
from prunebench.benchmark.bounds import PROCESSES

if TYPE_CHECKING:
    from prunebench.runner.preparing import Options

_EXECUTION = ("workers", "device", "threads", "keep")


def _place(ctx: click.Context, param: click.Parameter, value: str | None) -> Path | str | None:
    from prunebench.store.places import place_of

    return None if value is None else place_of(os.path.expanduser(value))


store_option = click.option(
    "--store",
    metavar="PLACE",
    callback=_place,
    help="Where artifacts are kept: a folder, or s3://, gs:// or az:// (see docs/stores.md).",
)


json_option = click.option("--json", "as_json", is_flag=True, help="The same as JSON on standard output.")


class _Folder(click.Path):
    """A path, with `~` for the home folder also where the shell leaves it: in `--out=~/boards`."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See click.ParamType."""
        return super().convert(Path(value).expanduser() if str(value).startswith("~") else value, param, ctx)


FOLDER = _Folder(path_type=Path)

F = TypeVar("F", bound=Callable[..., Any])


def file_options(command: F) -> F:
    """The options of every command that takes a benchmark file."""
    for decorate in reversed(
        [
            click.argument("file", type=FOLDER),
            click.option("--profile", metavar="NAME", help="Lay [profile.NAME] over the file."),
            click.option("--seeds", metavar="N,N,...", help="Replace the file's seeds."),
            click.option("--only", multiple=True, metavar="ENTRY", help="Score this entry only; may be repeated."),
            click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Change a key, as in the file."),
            click.option("--executor", metavar="NAME", help="What carries the work out, as in the file."),
            click.option(
                "--python",
                multiple=True,
                metavar="MODULE",
                expose_value=False,
                callback=_trust,
                help="Let FILE run this module's code (component python); may be repeated.",
            ),
            store_option,
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


def _trust(ctx: click.Context, parameter: click.Parameter, modules: tuple[str, ...]) -> None:
    """Modules of the user's own, found where the command is started, whose code a file may run; in workers too."""
    if not modules:
        return
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    for name, added, separator in ((TRUSTED, modules, ","), ("PYTHONPATH", (here,), os.pathsep)):
        before = [part for part in os.environ.get(name, "").split(separator) if part]
        os.environ[name] = separator.join(dict.fromkeys([*before, *added]))


def options_of(given: Mapping[str, Any]) -> Options:
    """What `file_options` were given, as the runner takes it."""
    from prunebench.runner.preparing import Options

    chosen = parse_seeds(given["seeds"])
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
        executor=given.get("executor"),
    )


def parse_seeds(text: str | None) -> tuple[int, ...] | None:
    """Seeds as `--seeds` takes them; None where it was not given."""
    if text is None:
        return None
    try:
        return tuple(int(seed) for seed in text.split(","))
    except ValueError:
        raise click.BadParameter(f"{text!r} is not a list of whole numbers like 0,1,2", param_hint="--seeds") from None
