"""Which components take part in a phase: whom to name where one of them failed and the error does not say which."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, is_dataclass

from prunebench.api.component import BoundComponent
from prunebench.api.errors import ContractError, PrunebenchError
from prunebench.api.untrusted_text import describe
from prunebench.components.catalogue import Catalogue
from prunebench.components.containment import is_strangers
from prunebench.engine.work import CancelledError
from prunebench.plan.specs import ComponentSpec, PhaseSpec

OWN = "prunebench"
"""The distribution whose components are not named: where they fail alone, the suite has."""


@contextmanager
def participants_named(spec: PhaseSpec, catalogue: Catalogue) -> Iterator[None]:
    """Within it, what is raised by a network, a term of the loss or an optimizer says who took part, and where from.

    What components give is called outside of their hooks, in the middle of the suite's own code.

    Raises:
        ContractError: something failed while components of other distributions took part.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, CancelledError | PrunebenchError) or not is_strangers(error):
            raise
        foreign = dict.fromkeys(
            str(component)
            for component in _components(spec, catalogue)
            if component.provider.distribution.partition(" ")[0] != OWN
        )
        if not foreign:
            raise
        raise ContractError(f"{describe(error)} (what took part: {', '.join(foreign)})") from error


def _components(value: object, catalogue: Catalogue) -> Iterator[BoundComponent]:
    """The components in a spec, in the order of its fields."""
    if isinstance(value, ComponentSpec):
        yield catalogue.from_json({"use": value.use, "version": value.version, "config": value.config})
    elif isinstance(value, tuple | list):
        for part in value:
            yield from _components(part, catalogue)
    elif is_dataclass(value):
        for field in fields(value):
            yield from _components(getattr(value, field.name), catalogue)
