"""Errors that a person reads: each says where, what, and what to do."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches


class PrunebenchError(Exception):
    """The base of every error that prunebench raises on purpose."""


class ConfigError(PrunebenchError):
    """A benchmark file is wrong. Carries every error of the file, not only the first."""

    def __init__(self, errors: Iterable[str]) -> None:
        self.errors = tuple(errors)
        super().__init__("\n".join(self.errors))


class PlanError(PrunebenchError):
    """A configuration is well formed but no plan can be made of it."""


class CannotTakePart(PlanError):
    """A network that cannot be pruned as an entry asks. Its trials have no rank; those of other networks go on."""


class ContractError(PrunebenchError):
    """A plugin broke the contract of a hook; names the component and its distribution."""


class DataMissing(PrunebenchError):
    """A data set is not under the data root; says what to put where."""


class DataUnusable(DataMissing):
    """A data set is there, but damaged, incomplete or not the published one; says what to do."""


class StoreError(PrunebenchError):
    """The store cannot be read or written: full, read-only, or not a store."""


class WorkerError(PrunebenchError):
    """Workers cannot do the work: none gets going, or they are not like the process that plans it."""


class InterruptedRunError(Exception):
    """A run was stopped on request; what was done is stored.

    Args:
        done: phases that are done, of `total` that were missing.
        by: the signal that asked for it.
    """

    def __init__(self, done: int, total: int, by: int) -> None:
        self.done, self.total, self.by = done, total, by
        super().__init__(f"{done} of {total} phases done")


class LostArtifact(StoreError):
    """An artifact that a phase needs is absent or was found corrupt (and set aside)."""

    def __init__(self, address: str, why: str) -> None:
        self.address = address
        super().__init__(f"artifact {address[:12]}: {why}")


def close_to(name: str, known: Iterable[str]) -> str:
    """` Did you mean "..."?` for a misspelt name, or nothing when none is near."""
    close = get_close_matches(name, sorted(known), n=2, cutoff=0.65)
    return " Did you mean " + " or ".join(f'"{c}"' for c in close) + "?" if close else ""


def nearest(name: str, known: Iterable[str]) -> str:
    """The same, or the known names when none is near."""
    names = sorted(known)
    close = close_to(name, names)
    if close or not names:
        return close
    shown = ", ".join(f'"{n}"' for n in names[:12]) + (", ..." if len(names) > 12 else "")
    return f" Known: {shown}."
