"""The errors of one file: each once, with the entries that it is true of."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from prunebench.api.errors import ConfigError
from prunebench.benchmark import bounds

_OF_ENTRY = re.compile(r'entry "([^"]*)": (.*)', re.DOTALL)


class Errors:
    """Errors as they come. What is wrong with an entry is wrong with those that extend it, too, and is one error."""

    def __init__(self) -> None:
        self._entries: dict[str, list[str]] = {}

    def append(self, error: str) -> None:
        """One more.

        Raises:
            ConfigError: there are more than anybody reads; with those so far.
        """
        of_entry = _OF_ENTRY.fullmatch(error)
        names = self._entries.setdefault(error if of_entry is None else of_entry[2], [])
        if of_entry is not None and of_entry[1] not in names:
            names.append(of_entry[1])
        if len(self._entries) > bounds.ERRORS:
            raise ConfigError([*self.lines(), "more was not looked for"])

    def extend(self, errors: Iterable[str]) -> None:
        """Several more, as `append`."""
        for error in errors:
            self.append(error)

    def lines(self) -> list[str]:
        """In the order in which they came."""
        return [f"{entries_named(names)}: {error}" if names else error for error, names in self._entries.items()]


def entries_named(names: Sequence[str]) -> str:
    """`entry "a"`, or `entries "a", "b", "c" and 3 more`."""
    first = ", ".join(f'"{name}"' for name in names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")
    return f"{'entry' if len(names) == 1 else 'entries'} {first}"
