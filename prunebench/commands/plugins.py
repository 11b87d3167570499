"""`prunebench plugins`: what is installed."""

from __future__ import annotations

from pathlib import Path

import click

from prunebench.commands.output import console_for, show_error


@click.group()
def plugins() -> None:
    """What is installed: components with their versions and papers."""


@plugins.command("list")
def plugins_list() -> None:
    """List every component."""
    from prunebench.commands.terminal.tables import plugins_table
    from prunebench.components.catalogue import Catalogue

    catalogue = Catalogue.load()
    console_for().print(plugins_table(catalogue))
    for failed in catalogue.broken.values():
        show_error(f"a plugin failed to load: {failed}")


@plugins.command("show")
@click.argument("name")
def plugins_show(name: str) -> None:
    """Describe one component: what it does, its configuration and the hooks that it answers."""
    from prunebench.commands.terminal.tables import component_page
    from prunebench.components.catalogue import Catalogue

    console_for().print(component_page(Catalogue.load().find(name)))


@plugins.command("new")
@click.argument("name")
@click.option(
    "--kind",
    type=click.Choice(["score", "schedule", "analysis", "data", "task"]),
    default="score",
    show_default=True,
    help="What the component is.",
)
@click.option("--to", type=click.Path(path_type=Path), help="The package's folder.  [default: prunebench-NAME]")
def plugins_new(name: str, kind: str, to: Path | None) -> None:
    """Write a package of your own with a component NAME: code, contract test and benchmark, ready to install."""
    import re

    from prunebench.api.errors import ConfigError, PrunebenchError

    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        raise ConfigError([f'"{name}": a name has small letters, digits and single hyphens, such as my-score'])
    try:
        from copier import run_copy
    except ImportError:
        raise PrunebenchError('`plugins new` needs copier: pip install "prunebench[new]"') from None
    folder = to if to is not None else Path(f"prunebench-{name}")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConfigError([f"{folder}: there is something of that name; --to names another folder"])
    template = Path(__file__).with_name("plugin_template")
    run_copy(str(template), folder, data={"name": name, "kind": kind}, defaults=True, quiet=True)
    click.echo(f"Written: {folder}. Next:")
    click.echo(f"  cd {folder} && pip install -e '.[test]' && pytest && prunebench run {name}.toml")
