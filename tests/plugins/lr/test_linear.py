from prunebench.testing import LrContract
from prunebench_plugins.lr.linear import Linear, LinearConfig


class TestLinear(LrContract):
    component = {"use": "linear"}


class TestLinearWithAFloor(LrContract):
    component = {"use": "linear", "floor": 0.1}


def test_the_line_by_hand() -> None:
    line = Linear(LinearConfig(floor=0.2))
    assert [round(line.prunebench_lr(at, 100), 12) for at in (0, 25, 50, 100)] == [1.0, 0.8, 0.6, 0.2]
    assert line.prunebench_lr(0, 0) == 1.0
