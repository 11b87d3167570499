import base64
import math
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from prunebench.leaderboard.cells import Group, group_rows
from prunebench.leaderboard.hits import image_scores
from prunebench.leaderboard.images import image_tables
from prunebench.leaderboard.metrics import metric_of
from prunebench.stats.bootstrap import image_interval, mean_over_seeds, paired_images

from .boards import row

ACCURACY = metric_of("test/accuracy", "fraction")
IMAGES = 203


def judged(entry: str, seed: int, right: NDArray[np.bool_], **changes: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """A row and its detail that agree."""
    density = 1.0 if entry == "dense" else 0.5
    one = row(entry, seed, density, int(right.sum()) / right.size, **changes)
    packed = base64.b64encode(np.packbits(right).tobytes()).decode()
    named = {name: one[name] for name in ("entry", "model", "data", "seed", "round", "draw")}
    return one, {**named, "kind": "evaluation", "hits": packed}


def made(seeds: int = 3, draws: int = 1) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    noise = np.random.default_rng(2)
    pairs = [
        judged(entry, seed, noise.random(IMAGES) < share, draw=draw)
        for entry, share in (("dense", 0.9), ("imp", 0.8))
        for seed in range(seeds)
        for draw in range(draws)
    ]
    return [one for one, _ in pairs], [detail for _, detail in pairs]


def group_of(rows: list[dict[str, Any]]) -> Group:
    return group_rows(rows, "test/accuracy", ("dense", "imp"))[0]


def text(rows: list[dict[str, Any]], details: list[dict[str, Any]], against: str | None = "dense") -> str:
    return image_tables(group_of(rows), ACCURACY, against, details, 0.05)


def test_hits_give_back_which_images_are_right_and_how_many_there_are() -> None:
    rows, details = made(draws=2)
    group = group_of(rows)
    scores = image_scores(group, details)
    assert sorted(scores) == sorted(group.cells)
    for at, cell in group.cells.items():
        for seed, value in cell.values.items():
            assert scores[at][seed].shape == (IMAGES,)
            assert scores[at][seed].mean() == pytest.approx(value)
            assert set(np.unique(scores[at][seed])) <= {0.0, 0.5, 1.0}


@pytest.mark.parametrize("hits", [None, 5, "not base64!", "", "AAAA", "//8="])
def test_a_cell_with_a_run_whose_hits_are_absent_or_do_not_give_its_value_has_no_interval_over_images(
    hits: Any,
) -> None:
    rows, details = made()
    details[0]["hits"] = hits
    assert sorted(image_scores(group_of(rows), details)) == [("imp", 0.5)]
    assert "Some cells have no interval over images" in text(rows, details)


def test_without_hits_the_page_says_so() -> None:
    rows, details = made()
    for detail in details:
        detail["hits"] = None
    assert text(rows, details).startswith("None: `details.jsonl` does not have which test images")
    assert text(rows, []).startswith("None: ")


def test_a_metric_that_hits_are_not_of_has_none() -> None:
    rows, details = made()
    loss = metric_of("test/loss", "nats")
    assert image_tables(group_of(rows), loss, None, details, 0.05).startswith("None: only test/accuracy records")


def test_both_intervals_stand_beside_each_other_for_values_and_differences() -> None:
    shown = text(*made())
    assert "bootstrap of the 203 test images with 2,000 resamples" in shown
    assert shown.count("| images |") == 3
    assert "Difference to dense, percentage points, paired by seed or by image:" in shown


def test_one_seed_has_an_interval_over_images_and_none_over_seeds() -> None:
    lines = [line for line in text(*made(seeds=1)).splitlines() if line.startswith("| imp ")]
    assert [cell.strip() for cell in lines[0].strip("|").split("|")] == ["imp", "seeds", "–", "–"]


def test_networks_that_have_every_image_wrong_still_have_a_size() -> None:
    pairs = [judged("imp", seed, np.zeros(IMAGES, bool)) for seed in range(2)]
    rows, details = [one for one, _ in pairs], [detail for _, detail in pairs]
    assert "0.00 to 0.00" in text(rows, details, None)


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
