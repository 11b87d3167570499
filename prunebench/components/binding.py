"""The components that the tables of one file name, each bound once: the context in which a file is validated."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import ValidationError

from prunebench.api.component import BoundComponent
from prunebench.api.errors import ContractError
from prunebench.api.problems import problems, refusal
from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager


class FileBinder:
    """A `prunebench.api.component.Binder`. Equal tables give the very same component, which planning relies on."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self._known: dict[str, BoundComponent | ValidationError] = {}
        self._rates: dict[tuple[BoundComponent, ...], str] = {}

    def bind(self, value: object, slot: str) -> BoundComponent:
        """See Binder."""
        table = repr((slot, value))
        if table not in self._known:
            try:
                self._known[table] = self._catalogue.bind(value, slot)
            except ValidationError as error:
                self._known[table] = error
        known = self._known[table]
        if isinstance(known, ValidationError):
            raise refusal(problems(known))
        return known

    def check_rate(self, optimizer: BoundComponent, pieces: Sequence[BoundComponent]) -> None:
        """See Binder."""
        together = (optimizer, *pieces)
        if together not in self._rates:
            self._rates[together] = _wrong_rate(optimizer, pieces)
        if self._rates[together]:
            raise ValueError(self._rates[together])


def _wrong_rate(optimizer: BoundComponent, pieces: Sequence[BoundComponent]) -> str:
    """What is wrong with the pieces of a learning rate together: one gives it, the others wrap it."""
    try:
        rates = run_manager([optimizer, *pieces]).hook.prunebench_lr.get_hookimpls()
    except ContractError as error:
        return str(error)
    if all(rate.wrapper or rate.hookwrapper for rate in rates):
        named = " and ".join(f'"{use.name}"' for use in pieces)
        return f'{named or "the list"} gives no learning rate of its own; begin the list with one, like "constant"'
    return ""
