import pytest

from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager
from prunebench.testing import LrContract


class TestWarmup(LrContract):
    component = {"use": "warmup", "over": "100it"}

    def test_it_rises_in_equal_steps_and_then_leaves_the_rate_alone(self) -> None:
        curve = self.curve(1_000)
        assert curve[0] == pytest.approx(0.01)
        assert curve[49] == pytest.approx(0.5)
        assert curve[99:] == [1.0] * 902


def test_it_scales_whatever_it_wraps() -> None:
    catalogue = Catalogue.load()
    base = {"use": "milestones", "at": ["5it"], "factor": 0.5}
    hooks = run_manager([catalogue.use(base), catalogue.use({"use": "warmup", "over": "10it"})]).hook
    rates = [hooks.prunebench_lr(position=at, horizon=20) for at in (0, 4, 5, 9, 10)]
    assert rates == pytest.approx([0.1, 0.5, 0.3, 0.5, 0.5])


def test_no_warmup_changes_nothing() -> None:
    hooks = run_manager([Catalogue.load().use(u) for u in ("constant", {"use": "warmup", "over": "0it"})]).hook
    assert hooks.prunebench_lr(position=0, horizon=20) == 1.0
