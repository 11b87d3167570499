from __future__ import annotations

import gc

import pytest

from prunebench.engine.collector import without_collector


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
