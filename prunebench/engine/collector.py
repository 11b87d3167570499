"""Python's collector of cycles, kept away from a million values that have none."""

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


@contextmanager
def collecting_only_new() -> Iterator[None]:
    """What is there before the block is not searched for cycles in it; what is made in it is, as ever.

    For a block that needs a plan from its start to its end: a search through 10^5 phases takes as long as scheduling
    10^4 of them, and finds nothing.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
