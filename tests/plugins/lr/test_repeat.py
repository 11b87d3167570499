import pytest

from prunebench.api.errors import ConfigError
from prunebench.components.catalogue import Catalogue
from prunebench.components.learning_rate import multiplier
from prunebench.testing import LrContract, toy_chain

CATALOGUE = Catalogue.load()
STEPS = {"use": "milestones", "at": ["6it", "8it"], "factor": 0.1}


def rates(*pieces, horizon):
    rate = multiplier([CATALOGUE.use(piece) for piece in pieces])
    return [rate(at, horizon) for at in range(horizon + 1)]


class TestRepeat(LrContract):
    component = {"use": "repeat", "every": "10it"}


def test_prunebench_clock_ends_a_last_repetition_at_its_own_horizon():
    repeat = CATALOGUE.use({"use": "repeat", "every": "10it"}).build()
    assert [repeat.prunebench_clock(at, 20) for at in (0, 9, 10, 19, 20)] == [
        (0, 10),
        (9, 10),
        (0, 10),
        (9, 10),
        (10, 10),
    ]


def test_the_pieces_above_start_over_after_each_repetition():
    once = rates(STEPS, horizon=10)
    assert rates(STEPS, {"use": "repeat", "every": "10it"}, horizon=30) == once[:-1] * 3 + once[-1:]


def test_the_pieces_above_see_one_repetition_as_their_horizon():
    once = rates("cosine", horizon=10)
    assert rates("cosine", {"use": "repeat", "every": "10it"}, horizon=20) == once[:-1] * 2 + once[-1:]


def test_a_warm_up_below_is_not_repeated_and_one_above_is():
    warm, again = {"use": "warmup", "over": "4it"}, {"use": "repeat", "every": "10it"}
    below = rates("constant", again, warm, horizon=20)
    above = rates("constant", warm, again, horizon=20)
    assert below == pytest.approx([0.25, 0.5, 0.75] + [1.0] * 18)
    assert above == pytest.approx(([0.25, 0.5, 0.75] + [1.0] * 7) * 2 + [1.0])


def test_repetitions_of_repetitions_nest():
    inner, outer = ({"use": "repeat", "every": f"{n}it"} for n in (4, 10))
    ramp = {"use": "warmup", "over": "4it"}
    cycle = [0.25, 0.5, 0.75, 1.0]
    assert rates("constant", ramp, inner, outer, horizon=20)[:14] == pytest.approx(cycle * 2 + cycle[:2] + cycle)


def test_a_repetition_that_takes_no_time_is_refused():
    with pytest.raises(ConfigError, match="would repeat nothing"):
        CATALOGUE.use({"use": "repeat", "every": "0it"})


def test_epochs_are_those_of_the_run():
    lr = ["cosine", {"use": "repeat", "every": "2ep"}]
    chain, recipes = toy_chain(1, changes={"train": {"lr": lr, "horizon": "4ep"}})
    found = chain.rates(recipes.find)
    assert found[0] == found[len(found) // 2] == 1.0
