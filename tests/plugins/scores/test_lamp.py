import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from prunebench.testing import ScoreContract
from prunebench_plugins.scores.lamp import lamp


class TestLamp(ScoreContract):
    component = {"use": "lamp"}


@settings(max_examples=50, deadline=None)
@given(weights=st.lists(st.floats(-2, 2, width=32), min_size=1, max_size=30))
def test_a_score_is_the_square_over_the_squares_that_are_no_smaller(weights: list[float]) -> None:
    found = lamp(torch.tensor(weights)).tolist()
    for index, weight in enumerate(weights):
        # Of equal ones the earlier counts as the larger.
        larger = [w for i, w in enumerate(weights) if (abs(w), -i) >= (abs(weight), -index)]
        total = sum(w * w for w in larger)
        assert abs(found[index] - (weight * weight / total if total else 0.0)) < 1e-12


def test_the_order_within_a_layer_is_that_of_magnitudes_and_the_largest_scores_one() -> None:
    weights = torch.randn(200)
    scores = lamp(weights)
    assert torch.equal(scores.argsort(), weights.abs().argsort())
    assert float(scores.max()) == 1.0
