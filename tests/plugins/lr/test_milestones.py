import pytest
from pydantic import ValidationError

from prunebench.testing import LrContract
from prunebench_plugins.lr.milestones import MilestonesConfig


class TestMilestones(LrContract):
    component = {"use": "milestones", "at": ["500it", "750it"], "factor": 0.25}

    def test_the_rate_falls_at_each_milestone_and_not_before(self) -> None:
        curve = self.curve(1_000)
        assert curve[:500] == [1.0] * 500
        assert curve[500:750] == [0.25] * 250
        assert curve[750:] == [0.0625] * 251


def test_positions_must_increase() -> None:
    with pytest.raises(ValidationError, match='"91ep" comes after "136ep"'):
        MilestonesConfig.model_validate({"at": ["136ep", "91ep"]})


def test_two_shares_of_a_short_horizon_may_be_one_iteration() -> None:
    assert len(MilestonesConfig.model_validate({"at": ["3it", "3it"]}).at) == 2


@pytest.mark.parametrize("options", [{"at": []}, {"at": ["1ep"], "factor": 0}, {"at": [30]}, {}])
def test_bad_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        MilestonesConfig.model_validate(options)
