"""`prunebench plugins`: what is installed."""

from __future__ import annotations

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
