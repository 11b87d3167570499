from __future__ import annotations

import gc
import weakref

import pytest

from prunebench.engine.collector import collecting_only_new, without_collector


def test_the_collector_is_afterwards_as_it_was_before() -> None:
    def broken() -> None:
        with without_collector():
            assert not gc.isenabled()
            with without_collector():
                pass
            assert not gc.isenabled()
            raise ValueError("broke")

    assert gc.isenabled()
    with pytest.raises(ValueError, match="broke"):
        broken()
    assert gc.isenabled()


class Knot:
    """Refers to itself, so that only the collector can free it."""

    def __init__(self) -> None:
        self.itself = self


def test_what_is_there_before_is_not_searched_and_what_is_made_meanwhile_is() -> None:
    gc.collect()
    before = weakref.ref(Knot())
    with collecting_only_new():
        assert gc.get_freeze_count() > 0
        new = weakref.ref(Knot())
        gc.collect()
        assert before() is not None
        assert new() is None
    assert gc.get_freeze_count() == 0
    gc.collect()
    assert before() is None
