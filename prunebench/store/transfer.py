"""Artifacts copied from one store to another: whole, checked on the way, and never over what is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Lock

from prunebench.store.contents import KeptCopy
from prunebench.store.copies import AbsentError, Copy, DamagedError
from prunebench.store.store import NotReproducedError, Store

ATONCE = 8
"""Artifacts that are under way at once."""


@dataclass(frozen=True)
class Copied:
    """What became of an artifact: "copied", "there" already, "damaged" here, or in "conflict" with what is there."""

    address: str
    lineage: str
    outcome: str
    size: int = 0
    why: str = ""


def transfer(
    copies: Iterable[KeptCopy], source: Store, target: Store, observe: Callable[[Copied], None] = lambda copied: None
) -> list[Copied]:
    """Copy artifacts with their records, as they were made: a record says where, whatever store it lies in.

    Those whose payload the source has dropped are left out. What the target has is checked against its record's hashes
    by whoever reads it there, and stays as it is.

    Args:
        observe: told of each as it is done, by one thread at a time.
    Raises:
        StoreError: a store cannot be read or written.
    """
    lock = Lock()

    def one(kept: KeptCopy) -> Copied:
        copied = _transferred(kept, source, target)
        with lock:
            observe(copied)
        return copied

    with ThreadPoolExecutor(ATONCE) as pool:
        return list(pool.map(one, [copy for copy in copies if copy.recorded and copy.files]))


def _transferred(kept: KeptCopy, source: Store, target: Store) -> Copied:
    where = (kept.address, kept.lineage)
    here, there = Copy(source.backend, *where), Copy(target.backend, *where)
    try:
        record = here.record()
        known = there.complete()
        if known is not None and known.digests == record.digests:
            return Copied(*where, "there")
        files = here.payload(record)
    except (AbsentError, DamagedError) as error:
        return Copied(*where, "damaged", why=str(error))
    try:
        target.keep(record, files)
    except NotReproducedError as error:
        return Copied(*where, "conflict", why=str(error))
    return Copied(*where, "copied", sum(map(len, files.values())))
