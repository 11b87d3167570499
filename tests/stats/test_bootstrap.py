import math

import numpy as np
import pytest
from scipy import stats

from prunebench.stats.bootstrap import image_interval, mean_over_seeds, paired_images


def test_the_bootstrap_is_scipys() -> None:
    scores = np.random.default_rng(3).choice([0.0, 1 / 3, 2 / 3, 1.0], size=300, p=[0.1, 0.1, 0.2, 0.6])
    ours = image_interval(scores, 0.05, resamples=20_000)
    theirs = stats.bootstrap(
        (scores,), np.mean, n_resamples=20_000, method="percentile", batch=500, rng=np.random.default_rng(4)
    ).confidence_interval
    assert (ours.mean, ours.n) == (pytest.approx(scores.mean()), 300)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.002)


def test_equal_scores_give_equal_intervals_in_any_order_of_the_images() -> None:
    scores = np.random.default_rng(3).random(200).round(1)
    assert image_interval(scores, 0.05) == image_interval(scores[::-1].copy(), 0.05)


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_the_interval_over_images_covers_the_share_that_other_images_would_give(share: float) -> None:
    draws = np.random.default_rng(9).random((1_000, 400)) < share
    intervals = [image_interval(hits.astype(float), 0.05, resamples=500) for hits in draws]
    covered = np.mean([(i.low or 0.0) <= share <= (i.high or 0.0) for i in intervals])
    assert covered == pytest.approx(0.95, abs=0.03)


def test_a_difference_paired_by_image_is_narrower_than_an_unpaired_one() -> None:
    noise = np.random.default_rng(6)
    hard = noise.random(1000)
    a, b = {0: (hard < 0.9).astype(float)}, {0: (hard < 0.88).astype(float), 7: np.zeros(1000)}
    apart = paired_images(a, b)
    assert apart is not None
    interval = image_interval(apart, 0.05)
    alone = image_interval(mean_over_seeds(a), 0.05)
    assert interval.low is not None
    assert interval.high is not None
    assert alone.low is not None
    assert alone.high is not None
    assert 0 < interval.low < interval.high
    assert interval.high - interval.low < alone.high - alone.low
    assert math.isclose(interval.mean, float(a[0].mean() - b[0].mean()))


def test_no_common_seed_has_no_difference_by_image() -> None:
    assert paired_images({0: np.ones(3)}, {1: np.ones(3)}) is None
