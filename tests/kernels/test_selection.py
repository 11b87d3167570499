"""The selection kernel against a stable sort."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray
from torch import Tensor

from prunebench.kernels.selection import first_nan, keep_highest

DEVICES = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
DTYPES = [torch.float32, torch.float64, torch.bfloat16, torch.float16]
AWKWARD = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    float("inf"),
    float("-inf"),
    5e-324,
    -5e-324,
    1e-45,
    -1e-45,
    2e-45,
    1e-40,
    -1e-40,
    6e-8,
]


def stably_sorted(scores: Sequence[Tensor], alive: Sequence[Tensor] | None) -> NDArray[np.int64]:
    """The flat indices of the units alive in the order that defines a selection. Every dtype is exact in fp64."""
    flat = np.concatenate([score.double().numpy() for score in scores])
    living = np.arange(flat.size) if alive is None else np.flatnonzero(np.concatenate([a.numpy() for a in alive]))
    return living[np.argsort(-flat[living] + 0.0, kind="stable")]


def assert_first_of(order: NDArray[np.int64], keep: Sequence[Tensor], scores: Sequence[Tensor], count: int) -> None:
    expected = np.zeros(sum(score.numel() for score in scores), dtype=np.bool_)
    expected[order[:count]] = True
    assert [(k.shape, k.dtype, k.device.type) for k in keep] == [(s.shape, torch.bool, "cpu") for s in scores]
    assert np.array_equal(np.concatenate([k.numpy() for k in keep]), expected), (scores, count)


def assert_same_as_sorted(scores: Sequence[Tensor], alive: Sequence[Tensor] | None, *counts: int) -> None:
    order = stably_sorted(scores, alive)
    for count in counts:
        assert_first_of(order, keep_highest(scores, alive, count), scores, count)


def split(flat: Tensor, sizes: Sequence[int]) -> list[Tensor]:
    return [flat[end - size : end] for size, end in zip(sizes, np.cumsum(sizes).tolist(), strict=True)]


def generated(rng: np.random.Generator) -> tuple[list[Tensor], list[Tensor] | None, int]:
    """Layers, some empty, with scores of one of the kinds that break selections."""
    sizes = [int(size) for size in rng.integers(0, rng.choice([4, 40, 400]), rng.integers(1, 6))]
    sizes[rng.integers(len(sizes))] += 1
    n = sum(sizes)
    kind = rng.integers(7)
    flat: NDArray[Any] = rng.standard_normal(n)
    if kind == 0:
        flat = np.abs(flat)
    elif kind == 1:
        flat = np.round(flat * rng.integers(1, 5))
    elif kind == 2:
        flat = np.full(n, rng.choice(AWKWARD))
    elif kind == 3:
        flat = rng.choice(AWKWARD, n)
    elif kind == 4:
        flat = rng.integers(-3, 4, n) * 1.401298464324817e-45  # the least fp32; below bf16 and fp16, where it is 0
    elif kind == 5:
        flat = np.sort(np.where(rng.random(n) < 0.5, 0.25, flat))
    dtype = DTYPES[rng.integers(len(DTYPES))]
    scores = split(torch.from_numpy(flat).to(dtype), sizes)
    if rng.random() < 0.4:
        return scores, None, int(rng.integers(1, n + 1))
    mask = rng.random(n) < rng.random()
    mask[rng.integers(n)] = True
    return scores, split(torch.from_numpy(mask), sizes), int(rng.integers(1, mask.sum() + 1))


@pytest.mark.parametrize("seed", range(10))
def test_equals_a_stable_sort_on_a_thousand_generated_arrays(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for _ in range(1000):
        assert_same_as_sorted(*generated(rng))


@settings(max_examples=300, deadline=None)
@given(data=st.data(), width=st.sampled_from([16, 32, 64]))
def test_equals_a_stable_sort_on_any_floats(data: st.DataObject, width: Literal[16, 32, 64]) -> None:
    floats = st.floats(allow_nan=False, width=width)
    arrays = hnp.arrays(f"f{width // 8}", st.integers(0, 20), elements=floats | st.sampled_from([0.0, -0.0]))
    scores = [torch.from_numpy(a) for a in data.draw(st.lists(arrays, min_size=1, max_size=4))]
    alive = [torch.from_numpy(data.draw(hnp.arrays(bool, score.numel()))) for score in scores]
    living = sum(int(a.sum()) for a in alive)
    if living:
        assert_same_as_sorted(scores, alive, data.draw(st.integers(1, living)))
    if n := sum(score.numel() for score in scores):
        assert_same_as_sorted(scores, None, data.draw(st.integers(1, n)))


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), share=st.floats(0, 1))
def test_a_smaller_selection_is_part_of_a_larger_one(seed: int, share: float) -> None:
    scores, alive, count = generated(np.random.default_rng(seed))
    larger = keep_highest(scores, alive, count)
    smaller = keep_highest(scores, alive, max(1, int(share * count)))
    assert not any(bool((s & ~g).any()) for s, g in zip(smaller, larger, strict=True))
    again = keep_highest(scores, list(larger), max(1, int(share * count)))
    assert all(torch.equal(a, b) for a, b in zip(again, smaller, strict=True))


LARGE = 2_000_000


def large(kind: str) -> Tensor:
    normal = torch.randn(LARGE, generator=torch.Generator().manual_seed(3))
    period = torch.arange(LARGE) % 64
    return {
        "normal": normal,
        "magnitudes": normal.abs(),
        "negative": -normal.abs(),
        "around zero": torch.where(normal.abs() < 1, normal.sign() * (normal.abs() // 0.3) * 1e-45, normal),
        "bf16": normal.abs().bfloat16(),
        "few values": (normal * 3).round(),
        "hundreds of values": (normal * 100).round(),
        "all equal": torch.ones(LARGE),
        "zeros of both signs": torch.where(normal > 0, 0.0, -0.0),
        "half zeros": normal.clamp(min=0),
        "ascending": normal.sort().values,
        "rows of their own scale": normal.abs() * period,
        "one stretch apart": torch.where(torch.arange(LARGE) < 1000, normal + 100, normal),
    }[kind]


@pytest.mark.parametrize("kind", ["normal", "bf16", "few values", "all equal", "half zeros"])
def test_equals_a_stable_sort_on_millions(kind: str) -> None:
    scores = split(large(kind), [700_000, 1, 0, 64, LARGE - 700_065])
    assert_same_as_sorted(scores, None, 1, 2, LARGE // 5, LARGE // 2, LARGE - 60_000, LARGE - 1, LARGE)


@pytest.mark.parametrize(
    "kind",
    [
        "magnitudes",
        "negative",
        "around zero",
        "hundreds of values",
        "zeros of both signs",
        "ascending",
        "rows of their own scale",
        "one stretch apart",
    ],
)
def test_equals_a_stable_sort_on_millions_that_are_partly_alive(kind: str) -> None:
    alive = torch.rand(LARGE, generator=torch.Generator().manual_seed(4)) < 0.5
    alive[: LARGE // 4] = True
    sizes = [LARGE // 2, LARGE // 2]
    assert_same_as_sorted(split(large(kind), sizes), split(alive, sizes), 1, LARGE // 50, 2 * LARGE // 5)


@pytest.mark.parametrize("crowd", [-1.0, 0.0, 1.0])
def test_a_crowd_that_begins_or_ends_near_the_threshold_is_cut_exactly(crowd: float) -> None:
    scores = large("normal")
    scores = torch.where((scores > crowd) & (scores < crowd + 0.5), crowd, scores)
    start, end = int((scores > crowd).sum()), int((scores >= crowd).sum())
    counts = (start, start + 1, start + 900, (start + end) // 2, end - 900, end, end + 1)
    assert_same_as_sorted([scores], None, *counts)


def test_a_handful_of_units_apart_from_all_the_others_is_ranked_too() -> None:
    scores = torch.zeros(LARGE)
    scores[12_345:12_365] = torch.arange(20.0) - 10
    assert_same_as_sorted([scores], None, 1, 5, 9, 10, 15, LARGE - 10, LARGE - 9, LARGE - 1)


@pytest.mark.parametrize("seed", range(10))
def test_a_bracket_that_misleads_changes_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(seed)
    scores, alive, count = generated(rng)
    limit = np.iinfo(f"i{scores[0].dtype.itemsize}").max
    for low in (-limit, -1, 0, 1, limit, *rng.integers(-limit, limit, 5).tolist()):
        for high in (low, low + 1, int(rng.integers(low, limit, endpoint=True))):
            bracket = (low, min(high, limit))
            monkeypatch.setattr(
                "prunebench.kernels.selection._bracket", lambda sample, density, bracket=bracket: bracket
            )
            assert_same_as_sorted(scores, alive, count)


@pytest.mark.parametrize("count", [1, LARGE // 3, LARGE - 1])
def test_a_bracket_that_holds_everything_is_given_up(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunebench.kernels.selection._bracket", lambda sample, density: (-(2**31), 2**31 - 1))
    assert_same_as_sorted([large("normal")], None, count)


def test_a_crowd_at_the_threshold_is_cut_at_the_lowest_indices() -> None:
    keep = keep_highest([torch.tensor([1.0, 2.0]), torch.tensor([]), torch.tensor([1.0, 1.0, 3.0])], None, 4)
    assert [k.tolist() for k in keep] == [[True, True], [], [True, False, True]]


def test_zeros_of_both_signs_are_tied() -> None:
    assert keep_highest([torch.tensor([-0.0, 0.0, -0.0])], None, 1)[0].tolist() == [True, False, False]
    assert keep_highest([torch.tensor([-1e-45, -0.0, 0.0, 1e-45])], None, 2)[0].tolist() == [False, True, False, True]


def test_denormals_stay_apart_where_the_processor_flushes_them() -> None:
    scores = torch.tensor([1e-45, 3e-45, 0.0, 2e-39])
    torch.set_flush_denormal(True)
    try:
        keep = keep_highest([scores], None, 2)
    finally:
        torch.set_flush_denormal(False)
    assert keep[0].tolist() == [False, True, False, True]


def test_layers_of_different_dtypes_are_compared_exactly() -> None:
    third = torch.tensor([1 / 3], dtype=torch.float64)
    scores = [third.float(), third, torch.tensor([0.333], dtype=torch.bfloat16), third.half()]
    assert_same_as_sorted(scores, None, 1, 2, 3, 4)


def test_views_and_tensors_that_need_gradients_are_read_and_left_alone() -> None:
    scores = torch.randn(40, generator=torch.Generator().manual_seed(0)).requires_grad_()
    alive = torch.ones(40, dtype=torch.bool)
    before = scores.detach().clone()
    keep = keep_highest([scores[::2]], [alive[::2]], 7)
    assert_first_of(stably_sorted([before[::2]], None), keep, [before[::2]], 7)
    assert torch.equal(scores.detach(), before)
    assert bool(alive.all())


def test_all_that_is_alive_can_be_kept() -> None:
    alive = torch.tensor([True, False, True])
    assert torch.equal(keep_highest([torch.zeros(3)], [alive], 2)[0], alive)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sign", [1, -1])
def test_nan_is_refused_and_its_layer_named(dtype: torch.dtype, sign: int) -> None:
    for others in ([1.0, 2.0], [-1.0, 2.0], [float("-inf"), float("inf")], [-0.0, -2.0]):
        nan = torch.tensor([*others, float("nan")], dtype=dtype).copysign(torch.tensor(sign))
        nan[:2] = torch.tensor(others, dtype=dtype)
        scores = [torch.tensor(others, dtype=dtype), torch.zeros(0, dtype=dtype), nan]
        assert first_nan(scores) == 2
        assert first_nan(scores[:2]) is None
        for alive in (None, [torch.ones(2, dtype=torch.bool), torch.ones(0, dtype=torch.bool), nan == nan]):
            with pytest.raises(ValueError, match="layer 2: a score is NaN"):
                keep_highest(scores, alive, 1)


@pytest.mark.parametrize("count", [-1, 0, 3])
def test_a_count_out_of_range_is_refused(count: int) -> None:
    with pytest.raises(ValueError, match=f"cannot keep {count} units: 2 are alive"):
        keep_highest([torch.ones(3)], [torch.tensor([True, False, True])], count)


@pytest.mark.parametrize("scores", [[], [torch.zeros(0)]])
def test_nothing_cannot_be_selected_from(scores: list[Tensor]) -> None:
    with pytest.raises(ValueError, match="cannot keep 1 units: 0 are alive"):
        keep_highest(scores, None, 1)


def test_tensors_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="2 layers have scores, 1 say"):
        keep_highest([torch.ones(1), torch.ones(1)], [torch.ones(1, dtype=torch.bool)], 1)
    with pytest.raises(ValueError, match="layer 0: alive must be bool"):
        keep_highest([torch.ones(2)], [torch.ones(3, dtype=torch.bool)], 1)
    with pytest.raises(ValueError, match="layer 0: alive must be bool"):
        keep_highest([torch.ones(2)], [torch.ones(2)], 1)
    with pytest.raises(ValueError, match="layer 0: scores must be 1-D floats"):
        keep_highest([torch.ones(2, 2)], None, 1)
    with pytest.raises(ValueError, match="layer 0: scores must be 1-D floats"):
        keep_highest([torch.ones(2, dtype=torch.int64)], None, 1)


@pytest.mark.parametrize("scores_on", DEVICES)
@pytest.mark.parametrize("alive_on", DEVICES)
def test_the_masks_are_the_same_wherever_scores_and_alive_are(scores_on: str, alive_on: str) -> None:
    assert_same_on(scores_on, alive_on)


def test_the_masks_are_the_same_by_the_operations_for_other_devices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("prunebench.kernels.selection._array", lambda tensor: tensor)
    assert_same_on("cpu", "cpu")
    assert first_nan([torch.zeros(2), torch.tensor([0.0, float("nan")])]) == 1


def assert_same_on(scores_on: str, alive_on: str) -> None:
    rng = np.random.default_rng(11)
    cases = [generated(rng) for _ in range(100)]
    cases += [([large(kind)], [large("normal") > 0], 300_000) for kind in ("normal", "bf16", "all equal")]
    for scores, alive, count in cases:
        moved = None if alive is None else [a.to(alive_on) for a in alive]
        keep = keep_highest([score.to(scores_on) for score in scores], moved, count)
        assert_first_of(stably_sorted(scores, alive), keep, scores, count)
