"""Python's collector of cycles, kept out while a million values are made that have none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collector() -> Iterator[None]:
    """Nothing is searched for cycles in the block, nor after it where nothing was before.

    The more values there are, the longer a search takes. A plan's phases, rows and details refer to nothing back: a
    quarter of the time of reading and writing 50,000 rows went into searches that found nothing.
    """
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
