"""Other test images: a bootstrap beside the interval over seeds, which says nothing of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from prunebench.api.estimates import Interval

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

RESAMPLES = 2_000
_SEED = 20_190_504


def image_interval(scores: NDArray[float64], alpha: float, resamples: int = RESAMPLES) -> Interval:
    """The mean over images and its percentile interval when images are drawn again with replacement.

    Equal scores give equal intervals: every call draws the same stream. `n` counts images.

    Args:
        scores: shape (images,), such as the share of seeds that have each image right, or a paired difference of two.
    Source: Efron 1979; Efron & Tibshirani 1993, chapter 13.
    """
    import numpy as np

    # images with equal scores are exchangeable: how often each score is drawn is multinomial
    levels, counts = np.unique(np.round(scores, 12), return_counts=True)
    drawn = np.random.default_rng(_SEED).multinomial(scores.size, counts / scores.size, size=resamples)
    low, high = np.quantile(drawn @ levels / scores.size, [alpha / 2, 1 - alpha / 2])
    return Interval(float(counts @ levels / scores.size), float(low), float(high), int(scores.size))


def mean_over_seeds(by_seed: Mapping[int, NDArray[float64]]) -> NDArray[float64]:
    """Each image's mean over seeds; shape (images,)."""
    import numpy as np

    return np.asarray(np.mean([by_seed[seed] for seed in sorted(by_seed)], axis=0), dtype=np.float64)


def paired_images(a: Mapping[int, NDArray[float64]], b: Mapping[int, NDArray[float64]]) -> NDArray[float64] | None:
    """Each image's mean difference a - b over the seeds that both have; None if they share none."""
    common = a.keys() & b.keys()
    return mean_over_seeds({seed: a[seed] - b[seed] for seed in common}) if common else None
