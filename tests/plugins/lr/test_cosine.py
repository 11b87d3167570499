from itertools import pairwise

import pytest

from prunebench.testing import LrContract
from prunebench_plugins.lr.cosine import Cosine, CosineConfig


class TestCosine(LrContract):
    component = {"use": "cosine"}

    def test_it_falls_from_one_to_zero_through_a_half(self) -> None:
        curve = self.curve(1_000)
        assert curve[0] == 1.0
        assert curve[250] == pytest.approx(0.8535534)
        assert curve[500] == pytest.approx(0.5)
        assert curve[1_000] == pytest.approx(0.0, abs=1e-12)
        assert all(earlier > later for earlier, later in pairwise(curve))


class TestCosineWithAFloor(LrContract):
    component = {"use": "cosine", "floor": 0.2}

    def test_it_ends_at_the_floor(self) -> None:
        curve = self.curve(1_000)
        assert curve[0] == 1.0
        assert curve[500] == pytest.approx(0.6)
        assert curve[-1] == pytest.approx(0.2)


def test_an_empty_clock_has_the_peak_rate() -> None:
    assert Cosine(CosineConfig()).prunebench_lr(0, 0) == 1.0
