"""`prunebench plugins`: what is installed."""

from __future__ import annotations

import json
from pathlib import Path

import click

from prunebench.commands.command import Group
from prunebench.commands.options import json_option
from prunebench.commands.output import console_for, show_error


@click.group(cls=Group)
def plugins() -> None:
    """What is installed: components with their versions and papers."""


@plugins.command("list")
@json_option
def plugins_list(as_json: bool) -> None:
    """List every component."""
    from prunebench.commands.terminal.tables import component_facts, plugins_table
    from prunebench.components.catalogue import Catalogue

    catalogue = Catalogue.load()
    if as_json:
        listed = [component_facts(provider) for provider in catalogue.providers.values()]
        click.echo(json.dumps({"components": listed, "broken": dict(catalogue.broken)}))
        return
    console_for().print(plugins_table(catalogue))
    for failed in catalogue.broken.values():
        show_error(f"a plugin failed to load: {failed}")


@plugins.command("show")
@click.argument("name")
@json_option
def plugins_show(name: str, as_json: bool) -> None:
    """Describe one component: what it does, its configuration and the hooks that it answers."""
    from prunebench.benchmark.reference import Reference
    from prunebench.commands.terminal.tables import component_facts, component_page
    from prunebench.components.catalogue import Catalogue

    catalogue = Catalogue.load()
    provider, reference = catalogue.find(name), Reference(catalogue)
    if as_json:
        keys = [one.to_json() for one in reference.options(provider)]
        click.echo(
            json.dumps({**component_facts(provider), "about": reference.component(provider).meaning, "keys": keys})
        )
        return
    console_for().print(component_page(provider))


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
@json_option
def plugins_new(name: str, kind: str, to: Path | None, as_json: bool) -> None:
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
    if as_json:
        files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
        click.echo(json.dumps({"folder": str(folder), "files": files}))
        return
    click.echo(f"Written: {folder}. Next:")
    click.echo(f"  cd {folder} && uv pip install -e '.[test]' && pytest && prunebench run {name}.toml")
