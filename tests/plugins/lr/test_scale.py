import pytest

from prunebench.components.catalogue import Catalogue
from prunebench.components.managers import run_manager
from prunebench.testing import LrContract


class TestScale(LrContract):
    component = {"use": "scale", "factor": 0.25}

    def test_it_is_the_same_share_everywhere(self) -> None:
        assert set(self.curve(100)) == {0.25}


def test_it_scales_whatever_it_wraps_in_any_order() -> None:
    catalogue = Catalogue.load()
    base, warmup, scale = "cosine", {"use": "warmup", "over": "4it"}, {"use": "scale", "factor": 0.2}
    plain, inner, outer = (
        [
            run_manager([catalogue.use(use) for use in uses]).hook.prunebench_lr(position=at, horizon=20)
            for at in range(21)
        ]
        for uses in ([base, warmup], [base, scale, warmup], [base, warmup, scale])
    )
    assert inner == pytest.approx([0.2 * rate for rate in plain])
    assert outer == pytest.approx(inner)
