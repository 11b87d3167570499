"""Packages that only some components need, and that an installation may lack."""

from __future__ import annotations

from importlib.util import find_spec

from prunebench import PlanError


class Unavailable(PlanError, ValueError):
    """A component cannot serve here.

    A ValueError too: raised where a file is checked, it is told with the place that names the component.
    """


def need(package: str) -> None:
    """Make sure that a package is there, without importing it. Raises Unavailable, saying how to install it."""
    spec = find_spec(package)
    # A folder of that name beside the file that is run looks like a package; it has no origin.
    if spec is None or spec.origin is None:
        raise Unavailable(f'the package "{package}" is not installed: `pip install "prunebench[{package}]"` brings it')
